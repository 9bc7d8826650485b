"""
Rows from Parquet and CSV files, several by a glob, in the order of their names.

A night reads only its own rows: where the time column is a real timestamp the condition reaches into the Parquet
file and skips what lies elsewhere. Rows whose time cannot be read belong to every night, and so are quarantined by
each; a filter in shop.yaml takes them out. Files may have their columns in another order, and columns of their own
that shop.yaml does not name.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from glob import glob
from zoneinfo import ZoneInfo

import polars as pl

from recsys_tasks.errors import SourceError
from recsys_tasks.extract.columns import require_columns, require_time
from recsys_tasks.extract.damage import require_utf_8, wanting
from recsys_tasks.extract.shapes import in_one_shape
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

Scan = Callable[[list[str]], pl.LazyFrame]


def read_parquet(source: SourceSettings, start: datetime | None, end: datetime | None) -> pl.DataFrame:
    """The rows of Parquet files between two instants."""
    return _read(source, lambda files: pl.scan_parquet(files, hive_partitioning=False), start, end)


def read_csv(source: SourceSettings, start: datetime | None, end: datetime | None) -> pl.DataFrame:
    """The rows of CSV files (with a header line) between two instants; ids and times are read as text."""
    texts = {source.columns[name]: pl.String() for name in TEXT_COLUMNS if name in source.columns}

    def scan(files: list[str]) -> pl.LazyFrame:
        for file in files:
            require_utf_8(file)
        return pl.scan_csv(files, infer_schema_length=None, schema_overrides=texts)

    return _read(source, scan, start, end)


def _read(source: SourceSettings, scan: Scan, start: datetime | None, end: datetime | None) -> pl.DataFrame:
    files = sorted(glob(source.path or "", recursive=True))
    if not files:
        raise SourceError(f"no file matches {source.path}")
    schemas = {file: _schema(source, scan, file) for file in files}

    def rows(some: list[str]) -> pl.LazyFrame:
        schema = schemas[some[0]]
        found = scan(some)
        return found if start is None or end is None else _between(found, schema, source, start, end)

    try:
        if len({tuple(schema.items()) for schema in schemas.values()}) == 1:
            return rows(files).collect()
        guessed = source.kind == "csv"
        return in_one_shape({file: rows([file]) for file in files}, schemas, guessed=guessed).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _damaged(rows, files, error) from None


def _schema(source: SourceSettings, scan: Scan, file: str) -> pl.Schema:
    """Of one file; every file must have what shop.yaml maps."""
    try:
        schema = scan([file]).collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise wanting(file, error) from None
    require_columns(source, schema.names(), file)
    require_time(source, "occurred_at", schema, file)
    return schema


def _damaged(rows: Callable[[list[str]], pl.LazyFrame], files: list[str], error: Exception) -> SourceError:
    """The error of the first file that cannot be read by itself: readers of many do not say which it was."""
    for file in files:
        try:
            rows([file]).collect()
        except (pl.exceptions.PolarsError, OSError) as own:
            return wanting(file, own)
    return wanting(files[0], error)


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
