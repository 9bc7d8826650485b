"""Peak memory of the demo: its own processes, the servers, their tasks and the embedded PostgreSQL."""

import threading
from collections.abc import Callable, Iterable
from types import TracebackType

import psutil

SAMPLE_SECONDS = 1.0


class PeakMemory:
    """Samples while the body of a ``with`` runs; ``peak_mb`` is the highest sum seen."""

    def __init__(self, roots: Callable[[], Iterable[psutil.Process]]) -> None:
        self.peak_mb = 0.0
        self._roots = roots
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
            self.peak_mb = max(self.peak_mb, tree_mb(self._roots()))
            if self._done.wait(SAMPLE_SECONDS):
                return


def tree_mb(roots: Iterable[psutil.Process]) -> float:
    """Megabytes that the processes and their descendants hold, each once."""
    members: set[psutil.Process] = set()
    for root in roots:
        try:
            members |= {root, *root.children(recursive=True)}
        except psutil.NoSuchProcess:
            continue
    return sum(_own_mb(member) for member in members)


def _own_mb(process: psutil.Process) -> float:
    """Proportional set size: forked workers and PostgreSQL share pages, which must not count many times."""
    try:
        return float(process.memory_full_info().pss) / 2**20
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0.0
