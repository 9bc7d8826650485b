"""A disk that is full, and one that has space again: a small tmpfs, or a quota at the calls that write."""

import errno
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from recsys_tasks.lake import delta

MEGABYTE = 1024 * 1024
BALLAST = "ballast"


@dataclass
class SmallDisk:
    """A file system of a few megabytes."""

    folder: Path

    def fill(self, leave: int = 0) -> None:
        """Write until nothing is left but ``leave`` bytes."""
        with (self.folder / BALLAST).open("wb", buffering=0) as file:
            with suppress(OSError):
                while True:
                    file.write(b"\0" * 65536)
            file.truncate(file.tell() - leave)

    def free(self) -> None:
        (self.folder / BALLAST).unlink()


@dataclass
class Quota:
    """An ordinary folder; the calls that write tables leave a part of the file and fail, as a kernel makes them."""

    folder: Path
    patch: pytest.MonkeyPatch = field(default_factory=pytest.MonkeyPatch)

    def fill(self, leave: int = 0) -> None:
        self.patch.setattr(pl.DataFrame, "write_parquet", _half)
        self.patch.setattr(delta, "write_deltalake", _refuse)

    def free(self) -> None:
        self.patch.undo()


def _half(_frame: pl.DataFrame, file: Any, **_options: Any) -> None:
    Path(file).write_bytes(b"PAR1 half of a file")
    _refuse()


def _refuse(*_arguments: Any, **_options: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@contextmanager
def small_disk(folder: Path, megabytes: int = 4) -> Iterator[SmallDisk]:
    """Mounted while the body runs; the test is skipped where mounting is not permitted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a small disk")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
