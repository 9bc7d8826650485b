"""The log that `benchmarks.lake` reads: the same rows as a Parquet file and as a table."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import psycopg

from recsys_tasks.settings import EventSourceSettings

ZONE = ZoneInfo("UTC")
FIRST, LAST = date(2026, 3, 1), date(2026, 3, 30)
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
# 29 days and some: every row lies between FIRST and LAST.
SPAN_SECONDS = 29 * 86_400
USERS, ITEMS = 200_000, 50_000
WORDS = {"sale": "purchase", "page": "view", "cart": "cart"}
COLUMNS = {"user_id": "who", "item_id": "what", "event_type": "did", "occurred_at": "at", "value": "paid"}
CHUNK = 2_000_000


def events_of(**where: Any) -> EventSourceSettings:
    """The source section of shop.yaml for this log."""
    return EventSourceSettings(**where, columns=COLUMNS, event_types=WORDS)


def write_parquet(file: Path, rows: int) -> Path:
    parts = [_rows(first, min(first + CHUNK, rows)).lazy() for first in range(0, rows, CHUNK)]
    pl.concat(parts).sink_parquet(file)
    return file


def _rows(first: int, last: int) -> pl.DataFrame:
    n = pl.col("n")
    return pl.select(n=pl.int_range(first, last, dtype=pl.Int64)).select(
        who=pl.lit("user ") + (n * 7919 % USERS).cast(pl.String),
        what=(n * 104_729 % ITEMS).cast(pl.String),
        did=(n % 3).replace_strict(dict(enumerate(WORDS)), return_dtype=pl.String),
        at=pl.lit(BEGIN).cast(pl.Datetime("us", "UTC")) + pl.duration(seconds=n % SPAN_SECONDS),
        paid=(n % 1000) / 10,
    )


FILL = """
CREATE UNLOGGED TABLE log AS
SELECT 'user ' || (n * 7919 %% %(users)s) AS who, (n * 104729 %% %(items)s)::text AS what,
       (%(words)s::text[])[1 + n %% 3] AS did, %(begin)s::timestamptz + (n %% %(span)s) * interval '1 second' AS at,
       ((n %% 1000) / 10.0)::float8 AS paid
FROM generate_series(0::bigint, %(rows)s - 1) n
"""


def fill_postgres(url: str, rows: int) -> None:
    """The table ``log``."""
    facts = {"users": USERS, "items": ITEMS, "words": list(WORDS), "begin": BEGIN, "span": SPAN_SECONDS}
    with psycopg.ClientCursor(psycopg.connect(url.replace("+psycopg", ""), autocommit=True)) as cursor:
        cursor.execute(FILL, {**facts, "rows": rows})
        cursor.execute("VACUUM ANALYZE log")
        cursor.connection.close()
