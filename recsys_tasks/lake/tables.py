"""
The lake: the events and items of one shop as Delta tables, written by day, read as of an instant.

``events`` is partitioned by ``event_date``, the business day in the shop's zone; a day is always replaced as a
whole. ``items`` keeps every version of every item. Beside the tables, ``days/`` and ``snapshots/`` hold one small
JSON record per extracted day and per catalogue snapshot. A day's records are taken away before its commit and written
after it: where a crash in between left rows without a record, whoever asks for it first makes it from the rows.
``catalogues.json`` remembers hashes that can be computed again.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dataframely as dy
import polars as pl
from deltalake import DeltaTable

from recsys_tasks.calendar import Night, days_between
from recsys_tasks.lake.catalogue import VERSION_FIELDS, catalogue_at, count_changes, versions_of
from recsys_tasks.lake.catalogue_hashes import CatalogueHashes
from recsys_tasks.lake.delta import create_table, files_of, replace_rows, turn, vacuum_table
from recsys_tasks.lake.records import (
    DayFacts,
    DayRecord,
    ItemsWritten,
    content_hash,
    read_day,
    read_snapshot,
    recorded_dates,
    write_record,
)
from recsys_tasks.lake.snapshot import EVENT_ORDER, Snapshot
from recsys_tasks.schema import Events, Items, ItemVersions
from recsys_tasks.workspace import fingerprint_of

log = logging.getLogger(__name__)

EVENT_FIELDS = {name: column.dtype for name, column in Events.columns().items()}
ITEM_FIELDS = {name: column.dtype for name, column in ItemVersions.columns().items()}
# EVENT_ORDER first; the other columns make the order total even for rows that tie in it.
TOTAL_ORDER = [*EVENT_ORDER, *(name for name in EVENT_FIELDS if name not in EVENT_ORDER)]
DAY = "event_date"
TAKEN_FOR = "night"


@dataclass(frozen=True)
class Lake:
    """The tables in one folder."""

    folder: Path

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

    def create(self) -> None:
        """Make both tables where they are missing. Safe to call by many processes at once."""
        if all(DeltaTable.is_deltatable(str(table)) for table in (self._events, self._items)):
            return
        with turn([self._lock("create")], "the lake's first tables"):
            create_table(self._events, {**EVENT_FIELDS, DAY: pl.Date()}, DAY)
            create_table(self._items, {**ITEM_FIELDS, TAKEN_FOR: pl.Date()}, TAKEN_FOR)

    # Days of events

    def write_days(
        self,
        first: date,
        last: date,
        zone: ZoneInfo,
        events: dy.DataFrame[Events],
        facts: dict[date, DayFacts],
    ) -> None:
        """
        Replace the days ``first`` to ``last`` by ``events`` in one commit and record each, empty days too.

        Raises ValueError for an event of another day, Busy when another writer keeps one of the days.
        """
        rows = events.select(*EVENT_FIELDS).with_columns(_day_in(zone)).sort(DAY, *TOTAL_ORDER)
        if not rows[DAY].is_between(first, last).all():
            raise ValueError(f"events outside {first} to {last}")
        self.create()
        days = list(days_between(first, last))
        records = _records(rows, days, facts)
        with turn([self._lock(f"events-{day}") for day in days], f"the events of {first} to {last}"):
            for day in days:
                self._day_file(day).unlink(missing_ok=True)
            replace_rows(self._events, rows, f"{DAY} >= '{first}' AND {DAY} <= '{last}'")
            for day in days:
                write_record(self._day_file(day), records[day])

    def day_record(self, day: date) -> DayRecord | None:
        """
        What is known about a day; None where it was never extracted.

        Waits for a writer of that day, who takes the record away while it works; raises Busy if that takes long.
        """
        found = read_day(self._day_file(day))
        if found is None and self._lock(f"events-{day}").exists():
            found = self._recovered(day)
        return found

    def _recovered(self, day: date) -> DayRecord | None:
        """The record of a day whose writer was killed, from the rows it left; None where there are none."""
        file = self._day_file(day)
        with turn([self._lock(f"events-{day}")], f"the events of {day}"):
            found = read_day(file)
            if found is None and day in self._partitions():
                found = record_of(self._rows_of(day))
                log.warning(
                    "the writer of %s was killed: its %d events are all that is known of it", day, found.rows
                )
                write_record(file, found)
        return found

    def _rows_of(self, day: date) -> pl.DataFrame:
        rows = self._scan(self._events).filter(pl.col(DAY) == day).select(*EVENT_FIELDS).collect()
        return rows.sort(TOTAL_ORDER)

    def days(self) -> list[date]:
        """The extracted days, sorted; days without a single event among them."""
        return recorded_dates(self._days)

    def events_between(self, start: datetime, end: datetime) -> dy.DataFrame[Events]:
        """Events with start <= occurred_at < end, in EVENT_ORDER."""
        if not DeltaTable.is_deltatable(str(self._events)):
            return Events.create_empty()
        # The lake does not know the zone: a business day lies at most one date from the instant's UTC date.
        nearby = pl.col(DAY).is_between(_utc_date(start, -1), _utc_date(end, 1))
        inside = (pl.col("occurred_at") >= start) & (pl.col("occurred_at") < end)
        rows = self._scan(self._events).filter(nearby, inside).select(*EVENT_FIELDS).collect()
        return Events.cast(rows.sort(TOTAL_ORDER))

    def first_event(self) -> datetime | None:
        """When the log begins; None while it is empty."""
        partitions = self._partitions()
        if not partitions:
            return None
        earliest = self._scan(self._events).filter(pl.col(DAY) == min(partitions))
        found: datetime = earliest.select(pl.col("occurred_at").min()).collect().item()
        return found

    # Versions of items

    def write_items(self, items: dy.DataFrame[Items], night: Night, *, proven: bool = True) -> ItemsWritten:
        """
        Add the catalogue as ``night`` found it: rows for what is new, changed or gone since the night before.

        ``proven``: the source was read about when the night ended; else (history loaded later) membership counts
        only for items somebody touched. A second snapshot of the newest night replaces the first, unless it knows
        less; one of an older night changes nothing.
        """
        self.create()
        file = self._snapshots / f"{night.date}.json"
        with turn([self._lock("items")], "the items of the lake"):
            before = read_snapshot(file)
            if night.date < max(self._taken(), default=date.min) or (before and before.proven and not proven):
                return ItemsWritten(total=items.height, skipped=True, proven=proven)
            stored = self._versions()
            earlier = stored.filter(pl.col("valid_from") < night.as_of)
            versions = versions_of(items, earlier, night.as_of, proven=proven)
            if not versions.equals(stored.filter(pl.col("valid_from") == night.as_of).sort("item_id")):
                dated = versions.with_columns(pl.lit(night.date).alias(TAKEN_FOR))
                replace_rows(self._items, dated, f"{TAKEN_FOR} = '{night.date}'")
            counted = count_changes(versions, earlier)
            written = replace(counted, total=items.height, assumed=earlier.is_empty(), proven=proven)
            write_record(file, written)
        return written

    # Reading as of an instant

    def snapshot(self, as_of: datetime) -> Snapshot:
        """The shop as of an instant: nothing from ``as_of`` on."""
        beginning = self.first_event() or as_of
        return Snapshot(as_of, self.events_between(beginning, as_of), self.catalogue(as_of))

    def catalogue(self, as_of: datetime) -> pl.DataFrame:
        """The Catalogue as of an instant, by item_id."""
        return catalogue_at(self._versions(), as_of)

    def catalogue_hashes(self) -> CatalogueHashes:
        """The hashes of the catalogue at any instant."""
        kept = self.folder / "catalogues.json"
        if not DeltaTable.is_deltatable(str(self._items)):
            return CatalogueHashes(pl.DataFrame(), ItemVersions.create_empty, kept)
        opened = self._open(self._items)
        # Files and rows of one version, whoever writes meanwhile.
        return CatalogueHashes(files_of(opened), lambda: _versions_in(self._read(self._items, opened)), kept)

    def state(self, night: Night) -> dict[str, str]:
        """What the lake tells a night, as two hashes; days and snapshots after the night do not change them."""
        return {
            "events": fingerprint_of(self.fingerprints(night)),
            "items": self.catalogue_hashes().at(night.as_of),
        }

    def fingerprints(self, night: Night) -> dict[str, str]:
        """ISO date -> content fingerprint of each day up to the night; empty days tell a night nothing."""
        days = {day for day in (*self.days(), *self._partitions()) if day <= night.date}
        return dict(self._fingerprints(sorted(days)))

    def versions(self) -> dict[str, int]:
        """The Delta version of each table, for the record."""
        return {"events": self._open(self._events).version(), "items": self._open(self._items).version()}

    def read_by(self, night: Night) -> dict[str, Any]:
        """What a night reads, for the record: the versions to read again, and each day's fingerprint."""
        return {**self.versions(), "days": self.fingerprints(night)}

    # Old versions

    def vacuum(self, keep_days: int) -> int:
        """
        Delete the files of rows that were replaced more than ``keep_days`` days ago; returns how many files.

        Any version that was the newest within those days can still be read.
        """
        tables = [t for t in (self._events, self._items) if DeltaTable.is_deltatable(str(t))]
        with turn([self._lock("create")], "the lake's old versions"):
            return sum(vacuum_table(table, keep_days) for table in tables)

    # Places and small reads

    def _open(self, table: Path) -> DeltaTable:
        return DeltaTable(table)

    def _scan(self, table: Path) -> pl.LazyFrame:
        return self._read(table, self._open(table))

    def _read(self, table: Path, opened: DeltaTable) -> pl.LazyFrame:
        return pl.scan_delta(opened)

    def _fingerprints(self, days: list[date]) -> Iterator[tuple[str, str]]:
        """An empty day tells a night nothing: extracted or not, it counts the same."""
        for day in days:
            record = self.day_record(day) or self._recovered(day)
            if record is not None and record.rows:
                yield day.isoformat(), record.fingerprint

    def _partitions(self) -> set[date]:
        """The days that have rows."""
        if not DeltaTable.is_deltatable(str(self._events)):
            return set()
        found = self._open(self._events).partitions()
        return {date.fromisoformat(str(partition[DAY])) for partition in found}

    def _versions(self) -> pl.DataFrame:
        """Every version of every item."""
        if not DeltaTable.is_deltatable(str(self._items)):
            return ItemVersions.create_empty()
        return _versions_in(self._scan(self._items))

    def _taken(self) -> list[date]:
        """The nights that have a snapshot; a crash before the record still leaves the partition."""
        recorded = recorded_dates(self._snapshots)
        found = DeltaTable(self._items).partitions()
        return [*recorded, *(date.fromisoformat(str(partition[TAKEN_FOR])) for partition in found)]

    def _day_file(self, day: date) -> Path:
        return self._days / f"{day}.json"

    def _lock(self, name: str) -> Path:
        return self.folder / "locks" / f"{name}.lock"


def _versions_in(items: pl.LazyFrame) -> pl.DataFrame:
    return items.select(VERSION_FIELDS).collect()


def _day_in(zone: ZoneInfo) -> pl.Expr:
    return pl.col("occurred_at").dt.convert_time_zone(str(zone)).dt.date().alias(DAY)


def _utc_date(instant: datetime, shift: int) -> date:
    return instant.astimezone(UTC).date() + timedelta(days=shift)


def record_of(clean: pl.DataFrame, counted: DayFacts | None = None) -> DayRecord:
    """The record of a day's rows (in TOTAL_ORDER); what did not come through is known at extraction only."""
    facts = counted or DayFacts(read=clean.height)
    return DayRecord(
        rows=clean.height,
        read=facts.read,
        rejected=facts.rejected,
        filtered=facts.filtered,
        fingerprint=content_hash(clean),
    )


def _records(rows: pl.DataFrame, days: list[date], facts: dict[date, DayFacts]) -> dict[date, DayRecord]:
    """The record of each day, from rows sorted by day and then in total order."""
    parts = rows.partition_by(DAY, as_dict=True, maintain_order=True, include_key=False)
    empty = rows.clear().drop(DAY)
    return {day: record_of(parts.get((day,), empty), facts.get(day, DayFacts())) for day in days}
