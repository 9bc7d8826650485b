"""
The questions a table answers: two targets, and parts of the shoppers and of the items.

``all`` is everything taken behind the cut; ``new`` what the shopper had no event with before. Both are cut down by the
shopper (with or without history) or by the item (with or without history, age, popularity): then only those items
are relevant, while the lists stay whole.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta

import polars as pl

from recsys_tasks.lake.snapshot import Snapshot

TARGETS = {"all": False, "new": True}
"""Target -> whether the lists leave out what the shopper knows."""
LAUNCH_DAYS = 28
POPULAR_DAYS = 28
HEAD_SHARE, MID_SHARE = 0.1, 0.4

PARTS: dict[str, pl.Expr] = {
    "known shoppers": pl.col("has_history"),
    "new shoppers": ~pl.col("has_history"),
    "items with history": pl.col("item_has_history"),
    "items without history": ~pl.col("item_has_history"),
    "launched": pl.col("launched"),
    "older": ~pl.col("launched"),
    "head": pl.col("tier") == "head",
    "mid": pl.col("tier") == "mid",
    "tail": pl.col("tier") == "tail",
}


def item_facts(snapshot: Snapshot, offered: pl.Series, target_events: Sequence[str]) -> pl.DataFrame:
    """
    item_id, item_has_history, launched, tier of every offered item, as of the snapshot.

    ``launched``: no event older than 28 days. ``tier``: by the shoppers who took the item in the 28 days before, ties
    by item_id: the first tenth is the head, the next four tenths the middle, the rest (and what nobody took) the tail.
    """
    since = snapshot.as_of - timedelta(days=POPULAR_DAYS)
    taken = pl.col("event_type").is_in(list(target_events)) & (pl.col("occurred_at") >= since)
    known = snapshot.events.group_by("item_id").agg(
        begins=pl.col("occurred_at").min(), buyers=pl.col("user_id").filter(taken).n_unique()
    )
    begins = pl.col("begins")
    young = begins >= snapshot.as_of - timedelta(days=LAUNCH_DAYS)
    head, mid = len(offered) * HEAD_SHARE, len(offered) * (HEAD_SHARE + MID_SHARE)
    return (
        offered.alias("item_id")
        .to_frame()
        .join(known, on="item_id", how="left")
        .with_columns(pl.col("buyers").fill_null(0))
        .sort("buyers", "item_id", descending=[True, False])
        .with_row_index("place")
        .select(
            "item_id",
            item_has_history=begins.is_not_null(),
            launched=young.fill_null(True),
            tier=pl.when((pl.col("place") < head) & (pl.col("buyers") > 0))
            .then(pl.lit("head"))
            .when((pl.col("place") < mid) & (pl.col("buyers") > 0))
            .then(pl.lit("mid"))
            .otherwise(pl.lit("tail")),
        )
        .sort("item_id")
    )


def slices(wanted: pl.DataFrame, facts: pl.DataFrame) -> Iterator[tuple[str, str, pl.DataFrame]]:
    """
    (name, target, relevant items) of every slice that has any.

    ``wanted`` has user_id, item_id, is_new, has_history (``evaluate.window.targets``); ``facts`` as ``item_facts``.
    """
    told = wanted.join(facts, on="item_id", how="left", maintain_order="left")
    for target, new_only in TARGETS.items():
        relevant = told.filter("is_new") if new_only else told
        named = {target: relevant} | {
            f"{target}/{name}": relevant.filter(part) for name, part in PARTS.items()
        }
        for name, rows in named.items():
            if not rows.is_empty():
                yield name, target, rows.select("user_id", "item_id")
