"""The folder of a lake: where its two tables and their records lie, and how a table is opened."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
from deltalake import DeltaTable

from recsys_tasks.lake.delta import create_table, turn
from recsys_tasks.schema import Events, ItemVersions

EVENT_FIELDS = {name: column.dtype for name, column in Events.columns().items()}
ITEM_FIELDS = {name: column.dtype for name, column in ItemVersions.columns().items()}
# What partitions each table: the business day of the events, the night that took the snapshot.
DAY = "event_date"
TAKEN_FOR = "night"


@dataclass(frozen=True)
class LakeFolder:
    """Both tables and what stands beside them. Another version of a table is another ``_open``."""

    folder: Path

    def create(self) -> None:
        """Make both tables where they are missing. Safe to call by many processes at once."""
        if all(DeltaTable.is_deltatable(str(table)) for table in (self._events, self._items)):
            return
        with turn([self._lock("create")], "the lake's first tables"):
            create_table(self._events, {**EVENT_FIELDS, DAY: pl.Date()}, DAY)
            create_table(self._items, {**ITEM_FIELDS, TAKEN_FOR: pl.Date()}, TAKEN_FOR)

    @property
    def _events(self) -> Path:
        return self.folder / "events"

    @property
    def _items(self) -> Path:
        return self.folder / "items"

    @property
    def _days(self) -> Path:
        return self.folder / "days"

    @property
    def _snapshots(self) -> Path:
        return self.folder / "snapshots"

    def _lock(self, name: str) -> Path:
        return self.folder / "locks" / f"{name}.lock"

    def _open(self, table: Path) -> DeltaTable:
        return DeltaTable(table)

    def _scan(self, table: Path) -> pl.LazyFrame:
        return self._read(table, self._open(table))

    def _read(self, table: Path, opened: DeltaTable) -> pl.LazyFrame:
        return pl.scan_delta(opened)


def partitions_of(table: DeltaTable, column: str) -> set[date]:
    """The dates that have rows."""
    return {date.fromisoformat(str(partition[column])) for partition in table.partitions()}
