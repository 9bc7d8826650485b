"""``torchrun`` that dies with the process that started it: ``python -m ...torchrun PARENT_PID ARGUMENTS``."""

import sys

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main

from recsys_tasks.training.parent import die_with_parent

if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    try:
        main(sys.argv[2:])
    except ChildFailedError:
        # The worker has printed why; torchrun's own report of twenty lines would push that out of the message.
        sys.exit(1)
