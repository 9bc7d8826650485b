"""
The window protocol: what shoppers took in some days, and how well lists made before them foresaw it.

Only items that could have been offered at the window's start are relevant: with a catalogue that was first seen
later, counting the others would reward whoever reads the future out of it, and would punish every model for
items that nobody could know.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from recsys_tasks.evaluate.bootstrap import mean_interval, paired_interval
from recsys_tasks.evaluate.metrics import recall_ndcg

K = 10
METRICS = ("recall", "ndcg")


def targets(
    after: pl.DataFrame, target_events: Sequence[str], before: pl.DataFrame, eligible: pl.Series
) -> pl.DataFrame:
    """
    What each shopper took in the window: user_id, item_id, is_new, has_history; a row an item, in that order.

    ``after`` are the window's events, ``before`` those before it (both with the Events contract), ``eligible`` the
    items that could be offered at the window's start. ``is_new``: the shopper has no event with the item before.
    """
    known = before.select("user_id", "item_id").unique().with_columns(is_new=False)
    shoppers = before.select("user_id").unique().with_columns(has_history=True)
    return (
        after.filter(pl.col("event_type").is_in(list(target_events)))
        .filter(pl.col("item_id").is_in(eligible.implode()))
        .select("user_id", "item_id")
        .unique()
        .join(known, on=["user_id", "item_id"], how="left")
        .join(shoppers, on="user_id", how="left")
        .with_columns(pl.col("is_new").fill_null(True), pl.col("has_history").fill_null(False))
        .sort("user_id", "item_id")
    )


def slices(wanted: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """The relevant items of each slice: all, new to the shopper, and all of shoppers without history."""
    return {
        "all": wanted,
        "new": wanted.filter("is_new"),
        "no_history": wanted.filter(~pl.col("has_history")),
    }


def score(lists: pl.DataFrame, wanted: pl.DataFrame) -> pl.DataFrame:
    """Recall@10 and NDCG@10 of each shopper with a relevant item; by user_id."""
    return recall_ndcg(lists, wanted, K)


def table(
    scores: Mapping[str, pl.DataFrame], reference: str, resamples: int, seed: int
) -> list[dict[str, Any]]:
    """
    One slice's rows: each system's means with their intervals, and how far ``reference`` is ahead of it (paired).

    ``scores`` has the frame of ``score`` for each system, all over the same shoppers.
    """
    return [_row(name, scores, reference, resamples, seed) for name in scores]


def _row(
    name: str, scores: Mapping[str, pl.DataFrame], reference: str, resamples: int, seed: int
) -> dict[str, Any]:
    row: dict[str, Any] = {"system": name, "users": len(scores[name])}
    for metric in METRICS:
        mine = scores[name][metric].to_numpy()
        mean, low, high = mean_interval(mine, resamples, seed)
        row[f"{metric}@{K}"] = round(mean, 6)
        row[f"{metric}@{K}_interval"] = [round(low, 6), round(high, 6)]
        if name != reference:
            ahead = paired_interval(scores[reference][metric].to_numpy(), mine, resamples, seed)
            row[f"ahead_{metric}@{K}"] = [round(value, 6) for value in ahead]
    return row
