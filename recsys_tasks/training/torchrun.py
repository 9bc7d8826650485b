"""``torchrun`` that dies with the process that started it: ``python -m ...torchrun PARENT_PID ARGUMENTS``."""

import signal
import sys

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main

from recsys_tasks.training.parent import die_with_parent

# A worker that is killed outright has no last word.
KILLED = (
    "a worker ended by SIGKILL: so the kernel ends processes where the machine is out of memory (dmesg tells); "
    "lower encoder.batch_texts or encoder.max_tokens, set or lower encoder.chunk_texts, "
    "or raise encoder.frozen_layers; of a classifier, lower classifier.batch_size or classifier.max_tokens"
)

if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    try:
        main(sys.argv[2:])
    except ChildFailedError as failed:
        # The worker has printed why; torchrun's own report of twenty lines would push that out of the message.
        if any(worker.exitcode == -signal.SIGKILL for worker in failed.failures.values()):
            sys.stdout.write(KILLED + "\n")
        sys.exit(1)
