"""
Child processes that die at a chosen point, by SIGKILL: no cleanup, no farewell.

A child counts what it does (statements, commits, what it asks of the file system) and kills itself right before the
n-th. So a test can kill a piece of work before everything it does, one after the other, until it comes through.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

KILLED = -signal.SIGKILL
# A server that has imported what children need and forks them: a child costs milliseconds, not seconds.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        "pytest",
        "tests.faults.night_work",
        "recsys_tasks.steps.ingest",
        "recsys_tasks.training.finetune",
        "recsys_tasks.training.encoder_steps",
        "transformers.models.bert.modeling_bert",
        "transformers.models.auto.tokenization_auto",
        "lightgbm",
        "faiss",
        "sqlalchemy.dialects.postgresql.psycopg",
    ]
)
# What changes the disk; reading is no point of interest.
AUDITED = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "fcntl.flock")


class Points:
    """Counts, and dies before the ``deadly``-th point, leaving its name in ``note``."""

    def __init__(self, deadly: int, note: Path) -> None:
        self.deadly, self.note, self.passed = deadly, note, 0

    def reach(self, what: str) -> None:
        self.passed += 1
        if self.passed == self.deadly:
            self.note.write_text(what)
            os.kill(os.getpid(), signal.SIGKILL)

    def watch_files(self, below: Path) -> None:
        """Every change of a file below a folder that Python makes is a point."""

        def audit(event: str, arguments: tuple[Any, ...]) -> None:
            if event in AUDITED and str(below) in str(arguments[0]):
                self.reach(f"{event} {Path(str(arguments[0])).name}")
            elif event == "open" and _writes(arguments) and str(below) in str(arguments[0]):
                self.reach(f"open {Path(str(arguments[0])).name}")

        sys.addaudithook(audit)

    def watch_statements(self) -> None:
        """Every statement and commit of SQLAlchemy is a point."""
        from sqlalchemy import Engine, event

        @event.listens_for(Engine, "before_cursor_execute")
        def _statement(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
            self.reach(" ".join(statement.split()))

        @event.listens_for(Engine, "commit")
        def _commit(_connection: Any) -> None:
            self.reach("COMMIT")


def _writes(arguments: tuple[Any, ...]) -> bool:
    mode = arguments[1]
    return isinstance(mode, str) and bool(set(mode) & set("wax+"))


def ended(work: Callable[..., None], *arguments: Any) -> int:
    """The exit code of a piece of work (a function of a module) in a process of its own."""
    process = FORKS.Process(target=work, args=arguments)
    process.start()
    process.join()
    code = process.exitcode
    process.close()
    return int(code)


def killed_everywhere(folder: Path, most: int = 400) -> Iterator[tuple[int, Path]]:
    """The number of the deadly point, from 1 on, and where its name will lie; the test ends the iteration."""
    for number in count(1):
        assert number < most, "the work never came through"
        yield number, folder / f"point {number}"
