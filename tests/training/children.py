"""Trainings that do one thing each: what ``launch`` is tested with. ``torchrun -m tests.training.children FOLDER``."""

import logging
import os
import sys
import time
from pathlib import Path

from recsys_tasks.errors import SettingsError
from recsys_tasks.training.worker import work

BEHAVIOUR = "behaviour"
PROCESS_ID = "process_id"
WOKE = "woke"


def main(folder: Path) -> None:
    behaviour = (folder / BEHAVIOUR).read_text()
    sys.stdout.write(f"worker {os.environ['RANK']} of {os.environ['WORLD_SIZE']} says {behaviour}\n")
    sys.stdout.flush()
    if behaviour == "warn":
        logging.getLogger("finetune").warning("the tracker is away;\nthe training goes on")
        logging.getLogger("finetune").info("a line")
    if behaviour == "fail":
        raise ValueError("the last line of a failed training")
    if behaviour == "refuse":
        raise SettingsError("shop.yaml asks for what cannot be")
    if behaviour == "sleep":
        (folder / PROCESS_ID).write_text(str(os.getpid()))
        time.sleep(120)
        (folder / WOKE).touch()


if __name__ == "__main__":
    work(main)
