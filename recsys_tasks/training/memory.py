"""Out of memory: which setting to lower, in the place of a bare trace."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from recsys_tasks.errors import TrainingFailed
from recsys_tasks.settings import EncoderSettings

# What torch says where the operating system refuses memory; there it raises a plain RuntimeError.
REFUSED = ("can't allocate memory", "not enough memory", "out of memory", "cannot allocate memory")


def what_to_lower(settings: EncoderSettings) -> str:
    """The settings that decide how much memory a step of encoder training takes; first what changes no result."""
    queue = getattr(settings.contrast, "queue", None)
    chunk = "none" if settings.chunk_texts is None else settings.chunk_texts
    return (
        f"set or lower encoder.chunk_texts (now {chunk}), "
        f"lower encoder.batch_texts (now {settings.batch_texts}) or encoder.max_tokens (now {settings.max_tokens}), "
        + (f"lower encoder.contrast.queue (now {queue}), " if queue is not None else "")
        + f"or raise encoder.frozen_layers (now {settings.frozen_layers})"
    )


def what_adaptation_lowers(settings: EncoderSettings) -> str:
    """The settings that decide how much memory a masked-token step takes (``encoder.adapt`` is set)."""
    assert settings.adapt is not None
    batch = f"encoder.adapt.batch_texts (now {settings.adapt.batch_texts})"
    return f"lower {batch} or encoder.max_tokens (now {settings.max_tokens})"


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
