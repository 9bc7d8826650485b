"""
Hyper-parameters chosen inside the log: split once by time, try a small grid, keep the best by NDCG@10.

With times the last 28 days before the cut are held out; where too few shoppers come then, 56, 112 or more, but
never more than a fifth of the log. Without times every user's last event is held out. Nothing behind the
log's cut exists here, so a scored day cannot be looked at.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from benchmarks.peers.base import Log
from benchmarks.peers.coded import DAY_US, later_events, positions
from benchmarks.peers.lists import Lists, Opinion
from recsys_tasks.evaluate.metrics import recall_ndcg

Settings = dict[str, Any]
Learn = Callable[[Settings], Opinion]

DAYS = 28
MIN_USERS = 300
MAX_USERS = 4_000
RULES = (True, False)


@dataclass(frozen=True)
class Inner:
    """What one may learn from, and what its lists are scored by: user_id, item_id, is_new."""

    log: Log
    targets: pl.DataFrame

    def sample(self, new_only: bool = False) -> pl.DataFrame:
        """The targets of at most ``MAX_USERS`` shoppers, evenly taken."""
        targets = self.targets.filter("is_new") if new_only else self.targets
        users = targets["user_id"].unique().sort()
        users = users.gather_every(-(-len(users) // MAX_USERS) or 1)
        return targets.filter(pl.col("user_id").is_in(users.implode()))

    def ndcg(self, lists: Lists, opinion: Opinion, new_only: bool) -> float:
        """Mean NDCG@10 under the seen rule asked for; 0 where nobody has a target."""
        targets = self.sample(new_only)
        if targets.is_empty():
            return 0.0
        rows = lists.top(targets["user_id"].unique().sort(), 10, new_only, opinion)
        return float(recall_ndcg(rows, targets)["ndcg"].to_numpy().mean())


def split(log: Log) -> Inner:
    """Hold out the end of a log."""
    return _by_time(log) if log.times is not None else _last_events(log)


def _by_time(log: Log) -> Inner:
    assert log.times is not None
    assert log.cut is not None
    first = int(log.times[0]) if len(log) else log.cut
    span, days = (log.cut - first) / DAY_US, float(DAYS)
    while True:
        cut = int(log.cut - min(days, span / 5) * DAY_US)
        before = log.times.to_numpy() < cut
        inner = _inner(log, before, cut)
        if days >= span / 5 or inner.targets["user_id"].n_unique() >= MIN_USERS:
            return inner
        days *= 2


def _last_events(log: Log) -> Inner:
    # A user of one event would have nothing to be judged by: the event stays.
    last = later_events(log.users) == 0
    alone = ~log.users.is_duplicated()
    return _inner(log, (~last | alone).to_numpy(), None)


def _inner(log: Log, before: np.ndarray, cut: int | None) -> Inner:
    """The events kept, and the wanted ones held out of items that were on offer at the inner cut."""
    inner = log.rows(before, cut)
    later = log.items.filter(pl.Series(~before)).unique()
    launched = later.filter(~later.is_in(inner.items.unique().implode()))
    # Times tell which items had not been launched; without times any item may have been there all along.
    offered = log.items_offered
    if cut is not None:
        offered = offered.filter(~offered.is_in(launched.implode()))
    inner = Log(inner.users, inner.items, offered, inner.times, inner.weights, inner.wanted, cut)
    held = ~before if log.wanted is None else ~before & log.wanted.to_numpy()
    return Inner(inner, _targets(log, held, inner))


def _targets(log: Log, held: np.ndarray, inner: Log) -> pl.DataFrame:
    mask = pl.Series(held)
    rows = pl.DataFrame({"user_id": log.users.filter(mask), "item_id": log.items.filter(mask)}).unique()
    rows = rows.filter(pl.Series(positions(rows["item_id"], inner.items_offered) >= 0))
    seen = pl.DataFrame({"user_id": inner.users, "item_id": inner.items}).unique()
    return (
        rows.join(seen.with_columns(is_new=False), on=["user_id", "item_id"], how="left")
        .with_columns(pl.col("is_new").fill_null(True))
        .sort("user_id", "item_id")
    )


def choose(inner: Inner, grid: Sequence[Settings], learn: Learn) -> dict[bool, Settings]:
    """
    The settings with the highest NDCG@10 on what was held out, for each seen rule; the earlier one wins a tie.

    ``learn`` fits on ``inner.log``; each member of the grid is fitted once and scored under both rules.
    """
    if len(grid) == 1 or inner.targets.is_empty() or not len(inner.log):
        return dict.fromkeys(RULES, grid[0])
    lists = Lists(inner.log)
    best: dict[bool, tuple[float, Settings]] = {}
    for settings in grid:
        opinion = learn(settings)
        for rule in RULES:
            value = inner.ndcg(lists, opinion, rule)
            if rule not in best or value > best[rule][0]:
                best[rule] = (value, settings)
    return {rule: settings for rule, (_, settings) in best.items()}
