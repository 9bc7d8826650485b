"""
A fine-tuning that is killed: ``torchrun -m tests.training.dying FOLDER``.

The process sends itself SIGKILL in the middle of the step that ``dies_at`` names: the gradient is there, the optimiser
has not moved. Without that file it trains to the end.
"""

import os
import signal
from pathlib import Path

from recsys_tasks.training import finetune
from recsys_tasks.training.optimisation import Optimisation
from recsys_tasks.training.worker import work

DIES_AT = "dies_at"


def main(folder: Path) -> None:
    dies_at = folder / DIES_AT
    if dies_at.is_file():
        step, whole = int(dies_at.read_text()), Optimisation.step

        def killed(run: Optimisation) -> None:
            if len(run.losses) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            whole(run)

        Optimisation.step = killed
    finetune.main(folder)


if __name__ == "__main__":
    work(main)
