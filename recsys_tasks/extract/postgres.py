"""
Rows from PostgreSQL at the speed of its COPY: no row becomes a Python object.

The server writes CSV, Polars reads it, some megabytes at a time. Only types whose text says everything are read so;
the caller fetches other results row by row, as from any database.
"""

import re
import select
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

import polars as pl
import psycopg
from psycopg import sql
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn

BLOCK_BYTES = 16 * 1024 * 1024
INTEGERS, FLOATS, TEXTS = (20, 21, 23), (700, 701), (19, 25, 1042, 1043, 2950)
BOOLEAN, DATE, TIMESTAMP, INSTANT, NUMERIC = 16, 1082, 1114, 1184, 1700
UTC_TIME = pl.Datetime("us", "UTC")
MAX_DIGITS = 38
CLOCK = "%Y-%m-%d %H:%M:%S"
# Where the fraction or the offset of a time begins, and how long an offset of whole hours is.
SECONDS_END, OFFSET_CHARS = 19, 3
HOUR = timedelta(hours=1)


def copied(connection: psycopg.Connection[Any], query: str) -> pl.DataFrame | None:
    """
    What a finished query gives, or None where its types, or values (a date before Christ), need a fetch row by row.

    Raises psycopg.Error for whatever the server says.
    """
    with connection.cursor() as cursor:
        # Times are written as the standard says, whatever the server's habit; how they are read is left alone.
        cursor.execute("SET datestyle TO ISO")
        try:
            types = _types(cursor, query)
            return None if types is None else _all_rows(cursor, query, types)
        except (psycopg.errors.SyntaxError, pl.exceptions.PolarsError):
            return None


def bound(query: str, names: re.Pattern[str], values: dict[str, Any]) -> str:
    """The query with its parameters written as literals (COPY takes none), each with its type."""
    literals = {name: sql.Literal(value).as_string() for name, value in values.items()}
    written = names.sub(lambda found: literals[found.group(1)], query)
    return written.replace(r"\:", ":").strip().rstrip(";")


def _types(cursor: psycopg.Cursor[Any], query: str) -> dict[str, pl.DataType] | None:
    """The columns and types of a query; None where one of them is better fetched row by row."""
    # The query is the shop's own setting.
    no_rows = f"SELECT * FROM (\n{query}\n) AS shop_rows LIMIT 0"  # noqa: S608
    cursor.execute(no_rows.encode())
    columns = cursor.description or []
    types = {column.name: dtype for column in columns if (dtype := _type_of(column)) is not None}
    # A row of one column that is null would be an empty line, which a reader of CSV passes over.
    return types if 1 < len(types) == len(columns) else None


def _all_rows(cursor: psycopg.Cursor[Any], query: str, types: dict[str, pl.DataType]) -> pl.DataFrame:
    zone = getattr(cursor.connection.info.timezone, "key", "UTC")
    with cursor.copy(f"COPY (\n{query}\n) TO STDOUT (FORMAT csv, ENCODING 'UTF8')".encode()):
        messages = _messages(cursor.connection.pgconn)
        return pl.concat(_parsed(block, types, zone) for block in _blocks(messages))


def _messages(server: PGconn) -> Iterator[memoryview]:
    """
    Rows as the server sends them: what iterating over the driver's ``copy`` does, at a third of its cost a row.

    Waits in Python, so that signals (a task's time limit) are heard.
    """
    waiting = select.poll()
    waiting.register(server.socket, select.POLLIN)
    size, row = server.get_copy_data(1)
    while size >= 0:
        if size:
            yield row
        else:
            waiting.poll()
            server.consume_input()
        size, row = server.get_copy_data(1)
    while (result := server.get_result()) is not None:
        if result.status == ExecStatus.FATAL_ERROR:
            raise psycopg.errors.error_from_result(result)


def _blocks(messages: Iterable[memoryview]) -> Iterator[bytearray]:
    """Whole rows, about BLOCK_BYTES of them at a time, at least one block: the server sends a row a message."""
    waiting = bytearray()
    for row in messages:
        waiting += row
        if len(waiting) >= BLOCK_BYTES:
            yield waiting
            waiting = bytearray()
    yield waiting


def _parsed(rows: bytearray, types: dict[str, pl.DataType], zone: str) -> pl.DataFrame:
    schema = {name: _read_as(dtype) for name, dtype in types.items()}
    frame = pl.DataFrame(schema=schema)
    if rows:
        frame = pl.read_csv(bytes(rows), has_header=False, schema=schema)
    return frame.select(_as(frame[name], dtype, zone) for name, dtype in types.items())


def _type_of(column: psycopg.Column) -> pl.DataType | None:
    """The type a fetch row by row would give; None for those that are better fetched so."""
    code = column.type_code
    if code in INTEGERS:
        return pl.Int64()
    if code in FLOATS:
        return pl.Float64()
    if code in TEXTS:
        return pl.String()
    if code == NUMERIC and column.scale is not None and 0 <= column.scale <= MAX_DIGITS:
        return pl.Decimal(MAX_DIGITS, column.scale)
    return {
        BOOLEAN: pl.Boolean(),
        DATE: pl.Date(),
        TIMESTAMP: pl.Datetime("us"),
        INSTANT: UTC_TIME,
    }.get(code)


def _read_as(dtype: pl.DataType) -> pl.DataType:
    return dtype if dtype in (pl.Int64, pl.Float64, pl.String) else pl.String()


def _as(text: pl.Series, dtype: pl.DataType, zone: str) -> pl.Series:
    """From the text that COPY writes, instants in the session's zone; no such value is a PolarsError."""
    if dtype == pl.Boolean:
        return text == "t"
    if dtype == pl.Date:
        return text.str.to_date("%Y-%m-%d")
    if dtype == UTC_TIME:
        return _instants(text).dt.convert_time_zone(zone)
    if isinstance(dtype, pl.Datetime):
        return _clocks(text.str.head(SECONDS_END), text.str.slice(SECONDS_END))
    return text.cast(dtype)


def _instants(text: pl.Series) -> pl.Series:
    """UTC from ``2026-03-02 12:00:00.5-05``. Of offsets only whole hours are quick; most zones have no other."""
    rest = text.str.slice(SECONDS_END)
    if rest.str.contains(":", literal=True).any():
        return text.str.to_datetime(f"{CLOCK}%.f%#z", time_unit="us")
    local = _clocks(text.str.head(SECONDS_END), rest.str.head(-OFFSET_CHARS))
    hours = rest.str.tail(OFFSET_CHARS).str.strip_prefix("+").cast(pl.Int64)
    return (local - hours * HOUR).dt.replace_time_zone("UTC")


def _clocks(seconds: pl.Series, fraction: pl.Series) -> pl.Series:
    """Whole seconds read by one fixed form, ten times quicker than with a fraction; the fraction is added."""
    clock = seconds.str.to_datetime(CLOCK, time_unit="us")
    if (fraction != "").any():
        microseconds = ("0" + fraction).cast(pl.Float64) * 1_000_000
        clock = clock + microseconds.round().cast(pl.Int64).cast(pl.Duration("us"))
    return clock
