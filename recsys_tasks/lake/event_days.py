"""
The events of a lake, written by business day and read by instants.

A day's record is taken away before its commit and written after it: where a crash in between left rows without a
record, whoever asks for it first makes it from the rows.
"""

import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import dataframely as dy
import polars as pl
from deltalake import DeltaTable

from recsys_tasks.calendar import Night, days_between
from recsys_tasks.lake.delta import replace_rows, turn
from recsys_tasks.lake.folder import DAY, EVENT_FIELDS, LakeFolder, partitions_of
from recsys_tasks.lake.records import (
    DayFacts,
    DayRecord,
    content_hash,
    read_day,
    recorded_dates,
    write_record,
)
from recsys_tasks.lake.snapshot import EVENT_ORDER
from recsys_tasks.schema import Events

log = logging.getLogger(__name__)

# EVENT_ORDER first; the other columns make the order total even for rows that tie in it.
TOTAL_ORDER = [*EVENT_ORDER, *(name for name in EVENT_FIELDS if name not in EVENT_ORDER)]


class EventDays(LakeFolder):
    """The table ``events`` and the record of each day that was extracted."""

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

    def fingerprints(self, night: Night) -> dict[str, str]:
        """ISO date -> content fingerprint of each day up to the night; empty days tell a night nothing."""
        days = {day for day in (*self.days(), *self._partitions()) if day <= night.date}
        return dict(self._fingerprints(sorted(days)))

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
        return partitions_of(self._open(self._events), DAY)

    def _day_file(self, day: date) -> Path:
        return self._days / f"{day}.json"


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
