"""Where refused rows lie, for whoever mends the source."""

from pathlib import Path
from uuid import uuid4

import dataframely as dy

from recsys_tasks.schema import Rejects


def write(folder: Path, source: str, label: str, rejects: dy.DataFrame[Rejects]) -> Path | None:
    """
    Keep the refused rows as ``<folder>/<source>/<label>.parquet``, in place of those of an earlier run.

    Returns the file, or None where nothing was refused.
    """
    target = folder / source / f"{label}.parquet"
    if rejects.is_empty():
        target.unlink(missing_ok=True)
        return None
    target.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own: another run of the same days would rename this file half-way.
    scratch = target.with_name(f".{label}.{uuid4().hex}.partial")
    try:
        rejects.write_parquet(scratch)
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)
    return target
