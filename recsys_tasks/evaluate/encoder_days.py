"""How many days before the window the encoder gate asks about: more where few shoppers take what it asks for."""

from collections.abc import Callable, Sequence
from datetime import datetime

import polars as pl

DAYS = (28, 56, 112, 224)
# With fewer, an interval is too wide for any honest gain to clear it.
ENOUGH_SHOPPERS = 200
# The days that are asked about are not learned from: at most this share of the log.
MAX_SHARE = 0.25


def validation_cut(
    events: pl.DataFrame,
    cold_texts: pl.Series,
    *,
    until: datetime,
    days_before: Callable[[int], datetime],
    target_events: Sequence[str],
) -> datetime:
    """
    Where training ends and the gate's days begin: the latest cut behind which ENOUGH_SHOPPERS can be asked.

    ``events`` are about texts (``item_id`` holds the text) before ``until``; ``cold_texts`` may not be learned from;
    ``days_before(n)`` is the instant n business days before ``until``. A young log keeps most of its days for learning.
    """
    cuts = [days_before(days) for days in DAYS]
    begin = events["occurred_at"].min()
    chosen = cuts[0]
    for cut in cuts:
        if cut != chosen and (begin is None or until - cut > MAX_SHARE * (until - begin)):  # type: ignore[operator]
            break
        chosen = cut
        if shoppers_to_ask(events, cold_texts, cut, target_events) >= ENOUGH_SHOPPERS:
            break
    return chosen


def shoppers_to_ask(
    events: pl.DataFrame, cold_texts: pl.Series, cut: datetime, target_events: Sequence[str]
) -> int:
    """How many shoppers with a history before ``cut`` first take a cold text, known by then, behind it."""
    before = pl.col("occurred_at") < cut
    known = events.filter(before, pl.col("item_id").is_in(cold_texts.implode()))["item_id"].unique()
    shoppers = events.filter(before)["user_id"].unique()
    firsts = (
        events.lazy()
        .filter(pl.col("item_id").is_in(known.implode()), pl.col("user_id").is_in(shoppers.implode()))
        .group_by("user_id", "item_id")
        .agg(
            since=pl.col("occurred_at").min(),
            wanted=(pl.col("event_type").is_in(list(target_events)) & ~before).any(),
        )
        .filter("wanted", pl.col("since") >= cut)
    )
    return int(firsts.select(pl.col("user_id").n_unique()).collect().item())
