"""
Positive pairs from co-engagement.

A shopper who takes a tent and, the same day, a sleeping bag tells us that the two belong near each other. A
weekly shop holds dozens of items, so joining a basket with itself would explode: every event is paired with its
next few followers only. Rows of one instant (a basket has one time) stand in a hashed order: by item id,
neighbours would be items with similar ids; by arrival, two loads of one log would give two models.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

import dataframely as dy
import numpy as np
import polars as pl

from recsys_tasks.pairs.coding import CodedLog, Ints, code_log, instants, micros, mix
from recsys_tasks.pairs.orders import PAIR_ORDER
from recsys_tasks.schema import Pairs
from recsys_tasks.settings import PairSettings

# Followers an event is paired with.
FOLLOWERS = 5
MICROS_PER_MINUTE = 60 * 10**6
MICROS_PER_DAY = 24 * 60 * MICROS_PER_MINUTE


def positive_pairs(
    events: pl.DataFrame, settings: PairSettings, weights: Mapping[str, float], train_until: datetime
) -> dy.DataFrame[Pairs]:
    """
    Pairs (anchor, item the same shopper took next, within the window), in PAIR_ORDER.

    Only events before ``train_until``, and at most ``history_days`` older, take part; a pair happens when its later
    event does. One row per shopper, anchor and positive: the newest. The window alone decides; a session neither
    widens nor narrows it. Caps keep the newest: per shopper, then per anchor, then overall.
    """
    since = train_until - timedelta(days=settings.history_days)
    log = code_log(events.filter(pl.col("occurred_at") >= since), weights, train_until)
    pairs = (
        _in_sequence(log.rows.drop_nulls("weight"))
        .pipe(_follow_ups, window=settings.window_minutes * MICROS_PER_MINUTE)
        .pipe(_once, n_items=len(log.items))
        .pipe(_newest, per="user", limit=settings.max_per_user)
        .sort("at", "user", "anchor", "positive", descending=[True, False, False, False])
        .pipe(_newest, per="anchor", limit=settings.max_per_item)
        .head(settings.max_pairs)
        .sort("at", "user", "anchor", "positive")
    )
    return Pairs.validate(_named(pairs, log, settings.half_life_days, train_until).sort(PAIR_ORDER))


def _in_sequence(rows: pl.DataFrame) -> pl.DataFrame:
    """Each shopper's events in time, one row per instant and item: the one that weighs most."""
    numbers = [rows[name].cast(pl.Int64).to_numpy() for name in ("user", "at", "item")]
    ordered = rows.with_columns(shuffled=pl.Series(mix(*numbers))).sort(
        "user", "at", "shuffled", "item", "weight", descending=[False, False, False, False, True]
    )
    again = pl.all_horizontal(pl.col(name) == pl.col(name).shift(1) for name in ("user", "at", "item"))
    return ordered.filter(~again.fill_null(False))


def _follow_ups(rows: pl.DataFrame, *, window: int) -> pl.DataFrame:
    """Every event with its next few followers within the window, newest first within a shopper."""
    user, at, item = (rows[name].cast(pl.Int64).to_numpy() for name in ("user", "at", "item"))
    earlier, later = _close_rows(user, at, item, window)
    return pl.DataFrame(
        {
            "user": user[later],
            "anchor": item[earlier],
            "positive": item[later],
            "at": at[later],
            "weight": rows["weight"].to_numpy()[later],
        }
    )


def _close_rows(user: Ints, at: Ints, item: Ints, window: int) -> tuple[Ints, Ints]:
    """Row numbers (earlier, later) of pairs; later rows first, then the closer of two earlier ones."""
    close_NF = np.zeros((len(user), FOLLOWERS), dtype=bool)
    for step in range(1, FOLLOWERS + 1):
        same_shopper = user[step:] == user[:-step]
        in_time = at[step:] - at[:-step] <= window
        # Taking one item twice is no evidence that it resembles itself.
        close_NF[step:, step - 1] = same_shopper & in_time & (item[step:] != item[:-step])
    from_the_end, step_before = np.nonzero(close_NF[::-1])
    later = len(user) - 1 - from_the_end
    return later - (step_before + 1), later


def _once(pairs: pl.DataFrame, *, n_items: int) -> pl.DataFrame:
    """The first row of each shopper, anchor and positive; two numbers are found faster than three."""
    both = pl.col("anchor") * n_items + pl.col("positive")
    return (
        pairs.with_columns(both=both).unique(["user", "both"], keep="first", maintain_order=True).drop("both")
    )


def _newest(pairs: pl.DataFrame, *, per: str, limit: int) -> pl.DataFrame:
    """The first ``limit`` rows of each; the rows stand newest first."""
    return pairs.filter(pl.int_range(pl.len()).over(per) < limit)


def _named(pairs: pl.DataFrame, log: CodedLog, half_life_days: float, train_until: datetime) -> pl.DataFrame:
    age_days = (micros(train_until) - pairs["at"].to_numpy()) / MICROS_PER_DAY
    weight = pairs["weight"].to_numpy() * np.exp2(-age_days / half_life_days)
    # An old pair under a short half-life must not round to no weight at all.
    weight = np.maximum(weight.astype(np.float32), np.finfo(np.float32).tiny)
    return pl.DataFrame(
        [
            log.user_ids(pairs["user"]),
            log.item_ids(pairs["anchor"], "anchor_id"),
            log.item_ids(pairs["positive"], "positive_id"),
            pl.Series("weight", weight, dtype=pl.Float32),
            instants(pairs["at"], "occurred_at"),
        ]
    )
