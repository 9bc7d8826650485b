"""The steps of a small night that make artefacts, for children that die while one does."""

import resource
import signal
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.faults.children import Points
from tests.steps.list_night import decided, reopened
from tests.steps.tower_night import make_vectors, refitting

# Step, the artefact it makes, and what its night needs before it.
LIST_STEPS: list[tuple[str, str, Callable[[Any], object]]] = [
    ("build_pairs", "pairs", lambda _job: None),
    ("train_towers", "towers", make_vectors),
    ("train_ranker", "ranker", lambda _job: None),
    ("build_index", "index", lambda _job: None),
    ("evaluate", "evaluation", lambda _job: None),
    ("refit_towers", "refit", decided),
    ("recommend", "lists", lambda _job: None),
]
MOMENTS = ("before the files", "inside a file", "before the manifest", "before the folder has its name")


class Moment(Points):
    """Dies at a named moment of making an artefact instead of at a number."""

    def __init__(self, moment: str, note: Path) -> None:
        super().__init__(0, note)
        self.moment = moment

    def reach(self, what: str) -> None:
        event, _, name = what.partition(" ")
        dies = {
            "before the files": event == "os.mkdir" and name.endswith(".partial"),
            "before the manifest": event == "open" and name.startswith(".manifest.json"),
            "before the folder has its name": event == "os.rename" and not name.startswith("."),
        }
        if dies.get(self.moment, False):
            self.deadly = self.passed + 1
        super().reach(what)


def run_list_step(moment: str, note: Path, step: str, folder: Path) -> None:
    run_step(moment, note, step, refitting(reopened(folder)))


def run_step(moment: str, note: Path, step: str, job: Any) -> None:
    """Run a step of a night and die at a moment of making its artefact."""
    module = import_module(f"recsys_tasks.steps.{step}")
    if moment == "inside a file":
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
    else:
        Moment(moment, note).watch_files(job.workspace.home)
    module.run(job)
