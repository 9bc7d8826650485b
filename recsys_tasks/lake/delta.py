"""The few things this house asks of Delta tables: create once, replace some partitions, wait one's turn."""

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import polars as pl
from deltalake import CommitProperties, DeltaTable, Field, Schema, write_deltalake
from deltalake.exceptions import CommitFailedError
from deltalake.schema import PrimitiveType

from recsys_tasks.errors import Busy
from recsys_tasks.files import locked

log = logging.getLogger(__name__)

COMMIT_ATTEMPTS = 20
LOCK_PATIENCE_SECONDS = 120.0
LOCK_PAUSE_SECONDS = 0.1
# Delta forgets versions older than 30 days, and after a week which files were replaced: then an old version could not
# be read again, vacuum or not. Log and tombstones are small; what takes room are the files, and ``vacuum`` has its own
# horizon for them.
KEEP_THE_LOG = {
    "delta.logRetentionDuration": "interval 3650 days",
    "delta.deletedFileRetentionDuration": "interval 3650 days",
}
DELTA_TYPES = {
    pl.String(): "string",
    pl.Float64(): "double",
    pl.Int32(): "integer",
    pl.Boolean(): "boolean",
    pl.Date(): "date",
    pl.Datetime("us", "UTC"): "timestamp",
}


def create_table(folder: Path, columns: dict[str, pl.DataType], partition_by: str) -> None:
    """Make an empty table; one that exists stays as it is."""
    fields = [
        Field(name, PrimitiveType(DELTA_TYPES[dtype]), nullable=True) for name, dtype in columns.items()
    ]
    DeltaTable.create(
        folder, Schema(fields), mode="ignore", partition_by=partition_by, configuration=KEEP_THE_LOG
    )


def vacuum_table(folder: Path, keep_days: int) -> int:
    """Delete files that were replaced more than ``keep_days`` days ago; returns how many."""
    table = DeltaTable(folder)
    if any(table.metadata().configuration.get(key) != value for key, value in KEEP_THE_LOG.items()):
        # A table of an earlier release.
        table.alter.set_table_properties(dict(KEEP_THE_LOG))
    # Delta's own limit is KEEP_THE_LOG, far above ours: it is the tombstones' life, not the files'.
    return len(table.vacuum(retention_hours=24 * keep_days, dry_run=False, enforce_retention_duration=False))


def replace_rows(folder: Path, rows: pl.DataFrame, predicate: str) -> None:
    """
    Replace what fulfils ``predicate`` by ``rows`` in one commit.

    Writers of other partitions do not disturb each other, but Delta's optimistic commits may still collide:
    the loser tries again on the newer version.
    """
    for attempt in range(1, COMMIT_ATTEMPTS + 1):
        try:
            write_deltalake(
                folder,
                rows,
                mode="overwrite",
                predicate=predicate,
                commit_properties=CommitProperties(max_commit_retries=COMMIT_ATTEMPTS),
            )
            return
        except CommitFailedError:
            if attempt == COMMIT_ATTEMPTS:
                raise
            log.info("another writer was first in %s; trying again", folder.name)
            time.sleep(LOCK_PAUSE_SECONDS * attempt)


def files_of(table: DeltaTable) -> pl.DataFrame:
    """The data files of a table: ``path`` and the partition they belong to."""
    return pl.DataFrame(table.get_add_actions(flatten=True))


@contextmanager
def turn(files: list[Path], what: str) -> Iterator[None]:
    """Hold every lock file, in the order given; waits a while for other writers, then raises Busy."""
    give_up = time.monotonic() + LOCK_PATIENCE_SECONDS
    with ExitStack() as held:
        for file in files:
            _enter(held, file, what, give_up)
        yield


def _enter(held: ExitStack, file: Path, what: str, give_up: float) -> None:
    while True:
        try:
            held.enter_context(locked(file, what))
            return
        except Busy:
            if time.monotonic() > give_up:
                raise
            time.sleep(LOCK_PAUSE_SECONDS)
