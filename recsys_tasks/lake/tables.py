"""
The lake: the events and items of one shop as Delta tables, written by day, read as of an instant.

``events`` is partitioned by ``event_date``, the business day in the shop's zone; a day is always replaced as a
whole. ``items`` keeps every version of every item. Beside the tables, ``days/`` and ``snapshots/`` hold one small
JSON record per extracted day and per catalogue snapshot.
"""

from datetime import datetime
from typing import Any

from deltalake import DeltaTable

from recsys_tasks.calendar import Night
from recsys_tasks.lake.delta import turn, vacuum_table
from recsys_tasks.lake.event_days import EventDays
from recsys_tasks.lake.item_history import ItemHistory
from recsys_tasks.lake.snapshot import Snapshot
from recsys_tasks.workspace import fingerprint_of


class Lake(EventDays, ItemHistory):
    """The tables in one folder."""

    def snapshot(self, as_of: datetime) -> Snapshot:
        """The shop as of an instant: nothing from ``as_of`` on."""
        beginning = self.first_event() or as_of
        return Snapshot(as_of, self.events_between(beginning, as_of), self.catalogue(as_of))

    def state(self, night: Night) -> dict[str, str]:
        """What the lake tells a night, as two hashes; days and snapshots after the night do not change them."""
        return {
            "events": fingerprint_of(self.fingerprints(night)),
            "items": self.catalogue_hashes().at(night.as_of),
        }

    def versions(self) -> dict[str, int]:
        """The Delta version of each table, for the record."""
        return {"events": self._open(self._events).version(), "items": self._open(self._items).version()}

    def read_by(self, night: Night) -> dict[str, Any]:
        """What a night reads, for the record: the versions to read again, and each day's fingerprint."""
        return {**self.versions(), "days": self.fingerprints(night)}

    def vacuum(self, keep_days: int) -> int:
        """
        Delete the files of rows that were replaced more than ``keep_days`` days ago; returns how many files.

        Any version that was the newest within those days can still be read.
        """
        tables = [t for t in (self._events, self._items) if DeltaTable.is_deltatable(str(t))]
        with turn([self._lock("create")], "the lake's old versions"):
            return sum(vacuum_table(table, keep_days) for table in tables)
