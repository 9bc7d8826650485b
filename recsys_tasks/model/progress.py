"""Long work in a task log: a line every few seconds is the only sign of life it has."""

import logging
import time

from recsys_tasks.model.arrays import Progress

SECONDS_BETWEEN_LINES = 5.0


def progress_lines(log: logging.Logger, what: str) -> Progress:
    """A Progress that logs how far the work is, every few seconds and where it ends."""
    started = last = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES or done == total:
            last = now
            log.info("%s: %d of %d, %.0f/s", what, done, total, done / max(now - started, 1e-3))

    return tell
