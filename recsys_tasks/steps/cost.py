"""Seconds and peak memory of a step, its child processes included."""

import threading
import time
from types import TracebackType

import psutil

SAMPLE_SECONDS = 0.2


class Cost:
    """Measure the body of a ``with``: ``seconds`` of wall time, ``peak_mb`` of resident memory (sampled)."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.peak_mb = 0.0
        self._done = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "Cost":
        self._began = time.monotonic()
        self._sampler.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._sampler.join()
        self.seconds = round(time.monotonic() - self._began, 2)

    def _sample(self) -> None:
        me = psutil.Process()
        while True:
            self.peak_mb = max(self.peak_mb, round(resident_mb(me), 1))
            if self._done.wait(SAMPLE_SECONDS):
                return


def resident_mb(process: psutil.Process) -> float:
    """Resident megabytes of a process and its children; one that has just ended counts as nothing."""
    total = 0
    for member in [process, *process.children(recursive=True)]:
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total / 2**20
