"""Builders in domain words: a log is rows of (shopper, item, event type, days after the first of January)."""

from datetime import UTC, datetime, timedelta

import polars as pl

from recsys_tasks.lake.snapshot import EVENT_ORDER
from recsys_tasks.schema import Events

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA = {name: column.dtype for name, column in Events.columns().items()}
WEIGHTS = {"view": 1.0, "cart": 3.0, "purchase": 5.0}

Row = tuple[str, str, str, float]


def day(days: float) -> datetime:
    return NEW_YEAR + timedelta(days=days)


def log(*rows: Row) -> pl.DataFrame:
    data = [(u, i, k, day(d), None, None, None, None, None) for u, i, k, d in rows]
    return pl.DataFrame(data, schema=SCHEMA, orient="row").sort(EVENT_ORDER)


def shuffled(frame: pl.DataFrame, seed: int) -> pl.DataFrame:
    return frame.sample(fraction=1.0, shuffle=True, seed=seed)
