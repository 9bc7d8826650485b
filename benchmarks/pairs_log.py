"""
The log that `benchmarks.pairs` reads: visits of a year, of shoppers and to items that are taken zipf-like.

The rows stand as the lake gives them. Some events stand twice, and some again with another type. No shopper touches
two items in one second, so that peers need no rule for ties.
"""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

BEGIN = datetime(2025, 3, 1, tzinfo=UTC)
UNTIL = datetime(2026, 3, 1, tzinfo=UTC)
SECONDS = 364 * 86_400
USERS_PER_ROW = 200_000 / 10_000_000
ITEMS = 100_000
VISIT = 6
PAUSE = 300
# Of the rows, how many stand twice, and how many again as another type.
TWICE, AGAIN = 0.04, 0.02
KINDS = np.array(["view", "cart", "purchase"])
WEIGHTS = {"view": 1.0, "cart": 3.0, "purchase": 5.0}
ORDER = ["occurred_at", "user_id", "item_id", "event_type"]


def write_log(file: Path, rows: int, items: int = ITEMS, seed: int = 1) -> Path:
    rng = np.random.default_rng(seed)
    rows = round(rows / (1 + TWICE + AGAIN))
    users = max(2, round(rows * USERS_PER_ROW))
    visits = -(-rows // VISIT)
    user = np.repeat(zipf(rng, visits, users, 200), VISIT)[:rows]
    pause = rng.integers(1, PAUSE, (visits, VISIT)).cumsum(axis=1).ravel()[:rows]
    at = np.repeat(rng.integers(0, SECONDS - VISIT * PAUSE, visits), VISIT)[:rows] + pause
    log = pl.DataFrame(
        {
            "user": user,
            "item": zipf(rng, rows, items, 20),
            "kind": rng.choice(len(KINDS), rows, p=[0.8, 0.12, 0.08]),
            "at": at,
        }
    ).unique(["user", "at"], keep="any", maintain_order=True)
    again = log.sample(fraction=AGAIN, seed=seed).with_columns(kind=(pl.col("kind") + 1) % len(KINDS))
    log = pl.concat([log, log.sample(fraction=TWICE, seed=seed), again])
    named = log.select(
        user_id=pl.lit("user-") + pl.col("user").cast(pl.String),
        item_id=pl.lit("item-") + pl.col("item").cast(pl.String),
        event_type=pl.lit(pl.Series(KINDS)).gather("kind"),
        occurred_at=pl.lit(BEGIN).cast(pl.Datetime("us", "UTC")) + pl.duration(seconds="at"),
    )
    named.sort(ORDER).write_parquet(file)
    return file


def zipf(rng: np.random.Generator, draws: int, count: int, flat: int) -> np.ndarray:
    """Numbers below ``count``, (draws,): the n-th with probability ~ 1 / (n + flat)."""
    until = np.cumsum(1.0 / (np.arange(count) + flat))
    return np.searchsorted(until, rng.random(draws) * until[-1]).clip(max=count - 1)
