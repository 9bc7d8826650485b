"""
Rows from Parquet and CSV files, several by a glob, in the order of their names.

A night reads only its own rows: where the time column is a real timestamp the condition reaches into the Parquet
file and skips what lies elsewhere. Rows whose time cannot be read belong to every night, and so are quarantined by
each; a filter in shop.yaml takes them out.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from glob import glob
from zoneinfo import ZoneInfo

import polars as pl

from recsys_tasks.errors import SourceError
from recsys_tasks.extract.columns import place_of, require_columns, require_time
from recsys_tasks.extract.values import instant_of
from recsys_tasks.settings import SourceSettings

# Columns that a CSV reader must not guess a type for: 00123 is an id, not a number.
TEXT_COLUMNS = (
    "user_id",
    "item_id",
    "session_id",
    "event_type",
    "occurred_at",
    "available_from",
    "available_until",
)
# Wider than any daylight-saving step: the exact cut follows.
SLACK = timedelta(days=1)


def read_parquet(source: SourceSettings, start: datetime | None, end: datetime | None) -> pl.DataFrame:
    """The rows of Parquet files between two instants."""
    return _read(source, lambda files: pl.scan_parquet(files, hive_partitioning=False), start, end)


def read_csv(source: SourceSettings, start: datetime | None, end: datetime | None) -> pl.DataFrame:
    """The rows of CSV files (with a header line) between two instants; ids and times are read as text."""
    texts = {source.columns[name]: pl.String() for name in TEXT_COLUMNS if name in source.columns}
    return _read(
        source, lambda files: pl.scan_csv(files, infer_schema_length=None, schema_overrides=texts), start, end
    )


def _read(
    source: SourceSettings,
    scan: Callable[[list[str]], pl.LazyFrame],
    start: datetime | None,
    end: datetime | None,
) -> pl.DataFrame:
    files = sorted(glob(source.path or "", recursive=True))
    if not files:
        raise SourceError(f"no file matches {source.path}")
    try:
        rows = scan(files)
        schema = rows.collect_schema()
        require_columns(source, schema.names())
        if start is not None and end is not None:
            require_time(source, "occurred_at", schema)
            rows = _between(rows, schema, source, start, end)
        return rows.collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SourceError(f"{place_of(source)}: {str(error).strip().splitlines()[0]}") from None


def _between(
    rows: pl.LazyFrame, schema: pl.Schema, source: SourceSettings, start: datetime, end: datetime
) -> pl.LazyFrame:
    name = source.columns["occurred_at"]
    dtype = schema[name]
    if isinstance(dtype, pl.Datetime):
        near, far = (_like(instant, dtype, source) for instant in (start - SLACK, end + SLACK))
        rows = rows.filter((pl.col(name).is_between(near, far)) | pl.col(name).is_null())
    instant = instant_of(pl.col(name), dtype, source.time_zone)
    return rows.filter(((instant >= start) & (instant < end)) | instant.is_null())


def _like(instant: datetime, dtype: pl.Datetime, source: SourceSettings) -> pl.Expr:
    """The instant as a literal of the column's own kind, so that Parquet statistics can be used."""
    if dtype.time_zone is None:
        instant = instant.astimezone(ZoneInfo(source.time_zone)).replace(tzinfo=None)
        return pl.lit(instant).cast(pl.Datetime(dtype.time_unit))
    return pl.lit(instant).cast(pl.Datetime(dtype.time_unit, "UTC")).dt.convert_time_zone(dtype.time_zone)
