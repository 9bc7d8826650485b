"""
The shop's log -> clean events of some business days.

Filters leave rows out on purpose; what then breaks a contract is quarantined with its first reason; rows that equal
another in every one of our columns are one event.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import dataframely as dy
import polars as pl

from recsys_tasks.calendar import day_start, days_between
from recsys_tasks.extract.columns import first_failed_filter, require_time
from recsys_tasks.extract.extracted import (
    ROW,
    Extracted,
    broken_contracts,
    counts,
    first_fault,
    rejects_of,
)
from recsys_tasks.extract.sources import read
from recsys_tasks.extract.values import instant_of, number_of, optional_text_of, text_of
from recsys_tasks.lake.records import DayFacts
from recsys_tasks.schema import Events
from recsys_tasks.settings import EventSourceSettings

DUPLICATE = "exact duplicate"
FIELDS = {name: column.dtype for name, column in Events.columns().items()}
NUMBERS = ("value", "position", "propensity")


class NumberedEvents(Events):
    row_number = dy.UInt32(nullable=False)


def extract_events(source: EventSourceSettings, first: date, last: date, zone: ZoneInfo) -> Extracted[Events]:
    """
    The events of the business days ``first`` to ``last``, with counts by day.

    Raises SourceError, SchemaMismatch or SettingsError as ``sources.read`` does.
    """
    start, end = day_start(first, zone), day_start(last + timedelta(days=1), zone)
    raw = read(source, start, end)
    rows = _mapped(source, raw, start, end).with_columns(
        filtered=first_failed_filter(source, raw), day=_day(zone, first, last)
    )
    kept = rows.filter(pl.col("filtered").is_null())
    sound = kept.filter(pl.col("fault").is_null()).select(*FIELDS, ROW)
    refused = pl.concat(
        [
            kept.filter(pl.col("fault").is_not_null()).select(ROW, reason="fault"),
            broken_contracts(NumberedEvents, sound),
        ]
    )
    good = _without(sound, refused)
    repeated = _repeats(good).select(ROW, repeat=pl.lit(DUPLICATE))
    clean = _without(good, repeated)
    rows = (
        rows.select(ROW, "day", "filtered")
        .join(repeated, on=ROW, how="left")
        .join(refused, on=ROW, how="left")
        .select("day", "reason", filtered=pl.coalesce("filtered", "repeat"))
    )
    return Extracted(
        clean=Events.cast(clean.select(*FIELDS)),
        rejects=rejects_of("events", raw, refused),
        read=raw.height,
        rejected=counts(refused["reason"]),
        filtered=counts(rows["filtered"]),
        days=_facts(rows, first, last),
    )


def _without(rows: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    """The rows that the others (by ``row_number``) are not, in their order; most nights there are no others."""
    return rows if others.is_empty() else rows.join(others, on=ROW, how="anti", maintain_order="left")


def _repeats(good: pl.DataFrame) -> pl.DataFrame:
    """
    Rows that equal an earlier one in every column.

    Comparing all columns of all rows costs more than the rest of the extraction: only rows whose hash is not alone
    are compared.
    """
    suspects = good.filter(pl.struct(*FIELDS).hash().is_duplicated())
    first = suspects.unique(list(FIELDS), keep="first", maintain_order=True)
    return suspects.join(first, on=ROW, how="anti")


def _mapped(source: EventSourceSettings, raw: pl.DataFrame, start: datetime, end: datetime) -> pl.DataFrame:
    """Our columns, ``row_number``, and ``fault``: why a row cannot be mapped, or null."""
    require_time(source, "occurred_at", raw.schema)
    ours = {name: _value(source, name, raw.schema).cast(dtype) for name, dtype in FIELDS.items()}
    mapped = raw.select(**ours).with_row_index(ROW)
    unreadable = {
        name: raw.select(_is_given(source, name, raw.schema)).to_series() & mapped[name].is_null()
        for name in ("occurred_at", "event_type", *NUMBERS)
        if name in source.columns and mapped[name].null_count()
    }
    word = {"event_type": "unknown"}
    at = pl.col("occurred_at")
    faults = {f"{name}|{word.get(name, 'unreadable')}": pl.lit(found) for name, found in unreadable.items()}
    outside = {"occurred_at|outside the night": (at < start) | (at >= end)}
    return mapped.with_columns(fault=first_fault({**faults, **outside}))


def _value(source: EventSourceSettings, name: str, schema: pl.Schema) -> pl.Expr:
    """One of our columns from the source's."""
    if name == "event_type" and source.event_type is not None:
        return pl.lit(source.event_type)
    if name not in source.columns:
        return pl.lit(None)
    column = source.columns[name]
    return _converter(source, name)(pl.col(column), schema[column])


def _converter(source: EventSourceSettings, name: str) -> Callable[[pl.Expr, pl.DataType], pl.Expr]:
    if name == "occurred_at":
        return lambda column, dtype: instant_of(column, dtype, source.time_zone)
    if name == "event_type":
        return lambda column, dtype: text_of(column, dtype).replace_strict(
            source.event_types, default=None, return_dtype=pl.String
        )
    if name in NUMBERS:
        return lambda column, dtype: number_of(column, dtype, FIELDS[name])
    return text_of if name in ("user_id", "item_id") else optional_text_of


def _is_given(source: EventSourceSettings, name: str, schema: pl.Schema) -> pl.Expr:
    """Whether the source says anything there: an unreadable value is a fault, a missing one may be fine."""
    column = source.columns[name]
    return optional_text_of(pl.col(column), schema[column]).is_not_null()


def _day(zone: ZoneInfo, first: date, last: date) -> pl.Expr:
    """The business day a row counts for; what belongs to none of them counts for the last or nearest."""
    local = pl.col("occurred_at").dt.convert_time_zone(str(zone)).dt.date()
    return local.fill_null(last).clip(first, last)


def _facts(rows: pl.DataFrame, first: date, last: date) -> dict[date, DayFacts]:
    days = rows.partition_by("day", as_dict=True)
    empty = rows.clear()
    facts = {}
    for day in days_between(first, last):
        own = days.get((day,), empty)
        facts[day] = DayFacts(own.height, counts(own["reason"]), counts(own["filtered"]))
    return facts
