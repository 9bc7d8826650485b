"""``torchrun`` that dies with the process that started it: ``python -m ...torchrun PARENT_PID ARGUMENTS``."""

import signal
import sys
from collections.abc import Iterable

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main

from recsys_tasks.errors import SettingsError
from recsys_tasks.training.parent import die_with_parent

# A worker that is killed outright has no last word.
KILLED = (
    "a worker ended by SIGKILL: so the kernel ends processes where the machine is out of memory (dmesg tells); "
    "set or lower encoder.chunk_texts, lower encoder.batch_texts, encoder.max_tokens or encoder.contrast.queue, "
    "or raise encoder.frozen_layers; while the base was adapted, lower encoder.adapt.batch_texts; "
    "of a classifier, lower classifier.batch_size or classifier.max_tokens"
)


def exit_code_of(codes: Iterable[int]) -> int:
    """
    That of the launch, from those of the failed workers, the first to fail first: SettingsError's where one has it.

    A worker ended by a signal (a negative code) counts as 1.
    """
    failed = list(codes)
    if SettingsError.exit_code in failed:
        return SettingsError.exit_code
    return failed[0] if failed and failed[0] > 0 else 1


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    try:
        main(sys.argv[2:])
    except ChildFailedError as failed:
        # The worker has printed why; torchrun's own report of twenty lines would push that out of the message.
        workers = sorted(failed.failures.values(), key=lambda worker: worker.timestamp)
        codes = [worker.exitcode for worker in workers]
        if -signal.SIGKILL in codes:
            sys.stdout.write(KILLED + "\n")
        sys.exit(exit_code_of(codes))
