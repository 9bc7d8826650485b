"""What the lake knows about a day without reading it: counts and a fingerprint of the clean rows."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path

import polars as pl

from recsys_tasks.files import write_whole


@dataclass(frozen=True)
class DayFacts:
    """What extraction counted for one day: rows the source gave, and those that did not come through, by reason."""

    read: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    filtered: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class DayRecord:
    """One day of the lake. ``fingerprint`` changes when, and only when, the day's clean rows change."""

    rows: int
    read: int
    rejected: dict[str, int]
    filtered: dict[str, int]
    fingerprint: str


@dataclass(frozen=True)
class ItemsWritten:
    """What a snapshot of the catalogue changed; ``skipped``: one that knows better is recorded, history stays."""

    total: int  # items in the catalogue
    added: int = 0
    changed: int = 0
    removed: int = 0
    assumed: bool = False
    skipped: bool = False
    proven: bool = True  # read about when the night ended


def content_hash(frame: pl.DataFrame) -> str:
    """
    16 hex digits over the rows, in the order given: the same on any machine and any version of Polars.

    JSON lines tell null from empty text; times are hashed as microseconds.
    """
    plain = frame.with_columns(pl.col(pl.Datetime).dt.epoch("us"))
    return hashlib.sha256(plain.write_ndjson().encode()).hexdigest()[:16]


def write_record(file: Path, record: DayRecord | ItemsWritten) -> None:
    write_whole(file, json.dumps(asdict(record), indent=2, sort_keys=True))


def read_day(file: Path) -> DayRecord | None:
    """The record of one day, or None where the day was never extracted."""
    try:
        return DayRecord(**json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def read_snapshot(file: Path) -> ItemsWritten | None:
    """The record of one night's snapshot, or None where it took none."""
    try:
        return ItemsWritten(**json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def recorded_dates(folder: Path) -> list[date]:
    """The dates that have a record in ``folder``, sorted."""
    return sorted(date.fromisoformat(file.stem) for file in folder.glob("[0-9]*.json"))
