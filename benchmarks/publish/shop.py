"""
Lists of a shop that does not exist, shaped like the demo's: ids of 7 and 8 characters, reasons of about 30, each
for two items of a list, of some 1,200 in all. Made shard by shard, the same for the same night.
"""

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
import polars as pl

from recsys_tasks.settings import CANDIDATE_SOURCES
from recsys_tasks.store.load import Candidate

ITEMS = 50_000
SHARD_ROWS = 200_000
FIRST_NIGHT = date(2026, 3, 2)
THINGS = ("tea", "milk", "rye bread", "soft drinks", "apples")
REASONS = pl.Series(
    [f"you buy this about every {days} days" for days in range(2, 60)]
    + [f"because you bought {thing} no {n}" for thing in THINGS for n in range(228)]
)


def catalogue() -> pl.Series:
    return pl.int_range(1_000_000, 1_000_000 + ITEMS, eager=True).cast(pl.String)


def user_id(number: int) -> str:
    return f"{number:08d}"


def candidate(night: int, top_k: int) -> Candidate:
    """The n-th night of the shop, made by a model."""
    return Candidate(
        night=FIRST_NIGHT + timedelta(days=night),
        run_id=f"run {night}",
        model="model",
        model_refs={"towers": str(night)},
        top_k=top_k,
        fallback_share=0.0,
    )


def shards(users: int, top_k: int, night: int, rows: int = SHARD_ROWS) -> Iterator[pl.DataFrame]:
    """The lists of all users, at most ``rows`` rows at a time; nine of ten items stay from night to night."""
    step = max(rows // top_k, 1)
    for first in range(0, users, step):
        yield _shard(first, min(step, users - first), top_k, night)


def _shard(first: int, users: int, top_k: int, night: int) -> pl.DataFrame:
    lasting, tonight = np.random.default_rng(first), np.random.default_rng((first, night))
    stride = ITEMS // top_k
    # One item of each stride, so none stands twice in a list.
    items = np.arange(top_k) * stride + lasting.integers(0, stride, (users, top_k))
    new = tonight.random((users, top_k)) < 0.1
    items = np.where(new, items // stride * stride + tonight.integers(0, stride, (users, top_k)), items)
    sources = np.sort(tonight.integers(0, len(CANDIDATE_SOURCES), (users, top_k)), axis=1)
    reasons = tonight.integers(0, len(REASONS), (users, top_k // 2 + 1)).repeat(2, axis=1)[:, :top_k]
    scores = np.sort(tonight.random((users, top_k), dtype=np.float32), axis=1)[:, ::-1]
    numbers = pl.Series(np.repeat(np.arange(first, first + users), top_k))
    return pl.DataFrame(
        {
            "user_id": numbers.cast(pl.String).str.zfill(8),
            "rank": np.tile(np.arange(1, top_k + 1, dtype=np.int32), users),
            "item_id": (pl.Series(tonight.permuted(items, axis=1).ravel()) + 1_000_000).cast(pl.String),
            "score": scores.ravel(),
            "source": pl.Series(CANDIDATE_SOURCES).gather(sources.ravel()),
            "reason": REASONS.gather(reasons.ravel()),
        }
    )
