"""
A descent whose processes see different checkpoints: ``torchrun -m tests.training.seeing FOLDER``.

Each process has a folder of checkpoints of its own, as on a network file system that shows machines different states.
"""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from recsys_tasks.training.checkpoints import Checkpoints
from recsys_tasks.training.minimise import Care, minimise
from recsys_tasks.training.processes import Processes
from recsys_tasks.training.worker import work

STEPS, EVERY = 12, 3


def seen_by(folder: Path, rank: int) -> Path:
    return folder / f"seen-by-{rank}"


def result_of(folder: Path, rank: int) -> Path:
    return folder / f"result-{rank}.json"


def descend(
    kept: Path, processes: Processes, before: Callable[[int], None] = lambda step: None
) -> dict[str, list[float]]:
    """The steps that were done, and where they led; ``before`` is called before each."""
    weight, done = nn.Parameter(torch.tensor([3.0, -2.0])), []

    def loss(step: int) -> Tensor:
        before(step)
        done.append(float(step))
        return ((weight - step) ** 2).sum()

    care = Care(checkpoints=Checkpoints(kept, "this", EVERY))
    minimise(loss, [{"params": [weight], "lr": 0.1}], STEPS, processes, care=care)
    return {"steps": done, "weight": weight.tolist()}


def main(folder: Path) -> None:
    processes = Processes.join(folder)
    found = descend(seen_by(folder, processes.rank), processes)
    result_of(folder, processes.rank).write_text(json.dumps(found))
    processes.leave()


if __name__ == "__main__":
    work(main)
