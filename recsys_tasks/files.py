"""Files beside other processes: written whole, held by one at a time, and a disk that is full told as such."""

import fcntl
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from recsys_tasks.errors import Busy, NoSpace, RecsysError

log = logging.getLogger(__name__)

# While waiting for a lock: how often to look, and how often to say so.
LOOK_SECONDS = 1.0
WORD_SECONDS = 60.0
# A disk with less is full: not every library says why a file could not be written.
SMALLEST_SPACE = 64 * 1024
FULL = ("no space left", "disk quota exceeded", "disk is full")


def write_whole(target: Path, text: str) -> None:
    """Write a small file so that readers see the old one or the new one, never a part."""
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with scratch.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)


@contextmanager
def enough_space(home: Path) -> Iterator[None]:
    """Turn any error of a full disk, whichever library it comes from, into NoSpace; others pass."""
    try:
        yield
    except RecsysError:
        raise
    # A full disk comes as OSError, and as the own kinds of Delta, Polars, torch and SQLite: all are asked.
    except Exception as error:
        if not _is_full(home, error):
            raise
        raise NoSpace(
            f"no space left for {home}; what was there is whole; free some space, then run again "
            f"({str(error).splitlines()[0]})"
        ) from error


def _is_full(home: Path, error: Exception) -> bool:
    said = str(error).lower()
    return any(word in said for word in FULL) or (
        home.exists() and shutil.disk_usage(home).free < SMALLEST_SPACE
    )


@contextmanager
def locked(path: Path, what: str, patience: float = 0.0) -> Iterator[None]:
    """
    Hold a lock file while the body runs; the kernel frees it when the process dies, however it dies.

    Waits ``patience`` seconds for another process that holds it, then raises Busy.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        _take(file, what, patience)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {os.uname().nodename}")
        file.flush()
        yield


def _take(file: IO[str], what: str, patience: float) -> None:
    began = time.monotonic()
    next_word = began
    while not _is_ours(file):
        now = time.monotonic()
        if now >= began + patience:
            raise Busy(
                f"another process works on {what}{_holder(file)}; wait for it or end it, then run again"
            )
        if now >= next_word:
            log.info("waiting for another process that works on %s%s", what, _holder(file))
            next_word = now + WORD_SECONDS
        time.sleep(min(LOOK_SECONDS, began + patience - now))


def _is_ours(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(file: IO[str]) -> str:
    file.seek(0)
    name = file.read().strip()
    return f" ({name})" if name else ""
