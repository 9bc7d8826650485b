"""The lake as it was: both tables at an old version, so that a night can be made again from what it read then."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from recsys_tasks.errors import MissingArtefact
from recsys_tasks.lake.delta import files_of
from recsys_tasks.lake.event_days import record_of
from recsys_tasks.lake.folder import DAY
from recsys_tasks.lake.records import DayRecord
from recsys_tasks.lake.tables import Lake


@dataclass(frozen=True)
class PastLake(Lake):
    """
    A lake to be read only. ``at`` names the version of each table (``events``, ``items``), as a manifest records it.

    Raises MissingArtefact where a version is gone: vacuumed away, or never there.
    """

    at: dict[str, int] = field(default_factory=dict)

    def create(self) -> None:
        raise ValueError("an old version of the lake cannot be written")

    def days(self) -> list[date]:
        """The days that had rows; an empty day leaves no trace in a table."""
        return sorted(self._partitions())

    def day_record(self, day: date) -> DayRecord | None:
        """The day as it was; what extraction had rejected and filtered is not known any more."""
        return dict(self._day_records([day])).get(day)

    def _fingerprints(self, days: list[date]) -> Iterator[tuple[str, str]]:
        return ((day.isoformat(), record.fingerprint) for day, record in self._day_records(days))

    def _day_records(self, days: list[date]) -> Iterator[tuple[date, DayRecord]]:
        """
        The days that had rows: a day whose files are still the table's by its record, another one by its rows.

        Records are read before today's files are looked at: one that a writer replaces in between is not taken for the
        day's.
        """
        now = Lake(self.folder)
        records = {day: now.day_record(day) for day in days if day in self._day_files}
        files_now = files_by_day(DeltaTable(self._events))
        for day, record in records.items():
            unchanged = self._day_files[day] == files_now.get(day)
            yield day, record if record is not None and unchanged else record_of(self._rows_of(day))

    @cached_property
    def _day_files(self) -> dict[date, frozenset[str]]:
        return files_by_day(self._open(self._events))

    def _open(self, table: Path) -> DeltaTable:
        version = self.at[table.name]
        try:
            return DeltaTable(table, version=version)
        except DeltaError:
            raise MissingArtefact(
                f"version {version} of the table {table.name} is not kept any more"
            ) from None

    def _read(self, table: Path, opened: DeltaTable) -> pl.LazyFrame:
        missing = [file for file in files_of(opened)["path"] if not (table / file).is_file()]
        if missing:
            raise MissingArtefact(
                f"version {opened.version()} of the table {table.name} is not kept any more: {len(missing)} of its "
                "files were vacuumed away (replay_days); the night can only be made again, from build_pairs"
            )
        return super()._read(table, opened)


def files_by_day(table: DeltaTable) -> dict[date, frozenset[str]]:
    """Which files hold each day's rows: a day with the same files was not written in between."""
    files = files_of(table)
    if files.is_empty():
        return {}
    by_day = files.group_by(f"partition.{DAY}").agg("path")
    return {day: frozenset(paths) for day, paths in by_day.iter_rows()}
