"""Out of memory: which setting to lower, in the place of a bare trace."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from recsys_tasks.errors import TrainingFailed

# What torch says where the operating system refuses memory; there it raises a plain RuntimeError.
REFUSED = ("can't allocate memory", "not enough memory", "out of memory", "cannot allocate memory")


@contextmanager
def advice(doing: str, lower: str) -> Iterator[None]:
    """Turn any error of a full memory into TrainingFailed that says what to lower; others pass."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        said = next(iter(str(error).splitlines()), type(error).__name__)
        raise TrainingFailed(f"out of memory while {doing}: {lower} ({said})") from error


def is_out_of_memory(error: Exception) -> bool:
    """Whether the GPU or the operating system had no memory left."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError) and any(word in said for word in REFUSED)
