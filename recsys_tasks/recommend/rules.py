"""The shop's rules over items: applied before any candidate is proposed, each with its count."""

from datetime import timedelta

import polars as pl

from recsys_tasks.lake.snapshot import Snapshot
from recsys_tasks.recommend.log import Bools
from recsys_tasks.settings import RuleSettings


def allowed_items(snapshot: Snapshot, rules: RuleSettings) -> tuple[Bools, dict[str, int]]:
    """
    Which items of the catalogue a list may hold (n,), and how many each rule left out.

    An item is counted at the first rule that refuses it, in the order of the returned counts.
    """
    verdicts = snapshot.items.select(
        not_offered=~pl.col("item_id").is_in(snapshot.eligible().implode()),
        blocked_item=pl.col("item_id").is_in(rules.blocked_items),
        blocked_category=pl.col("category").is_in(rules.blocked_categories).fill_null(False),
        not_sold_lately=_not_sold_lately(snapshot, rules.availability_days),
    )
    dropped, allowed = {}, pl.repeat(True, len(verdicts), eager=True, dtype=pl.Boolean)
    for rule in verdicts.columns:
        refused = allowed & verdicts[rule]
        dropped[rule] = int(refused.sum())
        allowed = allowed & ~refused
    return allowed.to_numpy(), dropped


def _not_sold_lately(snapshot: Snapshot, days: int | None) -> pl.Expr:
    """Whether nobody touched the item in ``days`` days; a launch of these days has had no time yet."""
    if days is None:
        return pl.lit(False)
    since = snapshot.as_of - timedelta(days=days)
    touched = snapshot.events.filter(pl.col("occurred_at") >= since).select(pl.col("item_id").unique())
    fresh = (pl.col("available_from") >= since).fill_null(False)
    return ~(pl.col("item_id").is_in(touched["item_id"].implode()) | fresh)
