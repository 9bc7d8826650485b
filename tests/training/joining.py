"""Says where a worker computes, and how: ``torchrun -m tests.training.joining FOLDER``."""

import json
from pathlib import Path

from recsys_tasks.training.processes import Processes
from recsys_tasks.training.worker import work

FACTS = "facts.json"


def main(folder: Path) -> None:
    processes = Processes.join(folder)
    facts = {"device": processes.device, "precision": processes.accelerator.mixed_precision}
    (folder / FACTS).write_text(json.dumps(facts))
    processes.leave()


if __name__ == "__main__":
    work(main)
