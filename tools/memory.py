"""
Peak memory of the demo: its own processes, the servers, their tasks and the embedded PostgreSQL.

What counts is the proportional set size: forked workers and PostgreSQL share pages, which must not count many times.
To tell it, the kernel walks through all pages of a process: every second, of all of them, took a third of a core. So
it is asked only when the resident sizes, which cost nothing, add up to more than ever before.
"""

import threading
from collections.abc import Callable, Iterable
from types import TracebackType

import psutil

SAMPLE_SECONDS = 1.0
# How much more makes it worth asking again.
NEWS = 1.01


class PeakMemory:
    """Samples while the body of a ``with`` runs; ``peak_mb`` is the highest sum seen."""

    def __init__(self, roots: Callable[[], Iterable[psutil.Process]]) -> None:
        self.peak_mb = 0.0
        self._roots, self._highest = roots, 0.0
        self._done = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._sampler.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._sampler.join()

    def _sample(self) -> None:
        while True:
            self.look()
            if self._done.wait(SAMPLE_SECONDS):
                return

    def look(self) -> None:
        """One sample."""
        processes = tree(self._roots())
        resident = sum(map(_resident, processes))
        if resident > self._highest * NEWS:
            self._highest = resident
            self.peak_mb = max(self.peak_mb, proportional_mb(processes))


def tree(roots: Iterable[psutil.Process]) -> set[psutil.Process]:
    """The processes and their descendants, each once."""
    members: set[psutil.Process] = set()
    for root in roots:
        try:
            members |= {root, *root.children(recursive=True)}
        except psutil.NoSuchProcess:
            continue
    return members


def proportional_mb(processes: Iterable[psutil.Process]) -> float:
    """Megabytes that they hold together, a page that several share counted once."""
    return sum(map(_proportional, processes)) / 2**20


def _proportional(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0
