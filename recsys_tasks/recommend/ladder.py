"""
The order that lists without a model of their own follow: buyers a day, over the days that tell most in this shop.

A week of a busy shop tells what sells now; in a shop with tens of events a day it is noise, and years tell more. So
each window is asked how well it would have foreseen the shop's own newest days, and those before them: the better it
did, the more its buyers a day count.
"""

from dataclasses import dataclass

import numpy as np

from recsys_tasks.model.popularity import DAY_US, window_us
from recsys_tasks.recommend.log import Bools, Floats, Ints, Log
from recsys_tasks.recommend.popularity import Popularity

WINDOWS: tuple[float, ...] = (7.0, 14.0, 28.0, 56.0, 90.0, 180.0, 365.0, float("inf"))
# Windows are judged on as many of the newest days as hold enough of what was taken, and on as many before, in turns.
JUDGED_DAYS = (28.0, 56.0, 112.0, 224.0)
ENOUGH_TAKEN = 1000
TURNS = 3
LIST = 10
# A window that foresaw nine tenths of what the best one did counts 0.9 ** 8 = 0.43 of it.
SHARPNESS = 8


def ladder(log: Log, allowed: Bools, popularity: Popularity) -> Ints:
    """
    Positions of the allowed items: by buyers a day, windows weighted by what they foresaw, ties by item_id; behind
    them, in the order of ``popularity``, what nobody took.
    """
    sales = Sales.of(log, len(allowed))
    score = sales.daily_buyers(0.0).T @ weights(sales)
    rest = popularity.order
    first = rest[score[rest] > 0]
    first = first[np.lexsort((first, -score[first]))]
    return np.concatenate([first, rest[score[rest] == 0]])


@dataclass(frozen=True)
class Sales:
    """Every target event on n items, by (user, item), newest first."""

    user: Ints
    item: Ints
    age_us: Ints
    items: int

    @classmethod
    def of(cls, log: Log, items: int) -> "Sales":
        rows = np.flatnonzero(log.is_target & (log.item >= 0))
        # A shopper's rows stand oldest first: turned round, a stable sort leaves the newest of each item in front.
        rows = rows[::-1]
        rows = rows[np.argsort(log.user[rows] * items + log.item[rows], kind="stable")]
        return cls(log.user[rows], log.item[rows], log.age_us[rows], items)

    def taken(self, since: float, until: float = float("inf")) -> Ints:
        """The newest row of each (user, item) that is more than ``since`` and at most ``until`` days old."""
        rows = np.flatnonzero((self.age_us > window_us(since)) & (self.age_us <= window_us(until)))
        key = self.user[rows] * self.items + self.item[rows]
        newest: Ints = rows[np.diff(key, prepend=-1) != 0]
        return newest

    def daily_buyers(self, since: float) -> Floats:
        """(windows, n) distinct shoppers a day of each item in WINDOWS that end ``since`` days before the snapshot."""
        newest = self.taken(since)
        item, age = self.item[newest], self.age_us[newest] - window_us(since)
        # A window that begins before the log does is as long as the log.
        oldest = float((self.age_us.max(initial=0) - window_us(since)) / DAY_US)
        rates = np.zeros((len(WINDOWS), self.items), np.float32)
        for row, days in zip(rates, WINDOWS, strict=True):
            row += np.bincount(item[age <= window_us(days)], minlength=self.items)
            row /= max(min(days, oldest), 1.0)
        return rates


def weights(sales: Sales) -> Floats:
    """(windows,) how much the buyers a day of each window count, 1 at most; alike where nothing can be judged."""
    days = judged_days(sales)
    seen = np.mean([foresight(sales, turn * days, days) for turn in range(TURNS)], axis=0)
    if not seen.max():
        return np.ones(len(WINDOWS), np.float32)
    return np.asarray((seen / seen.max()) ** SHARPNESS, np.float32)


def judged_days(sales: Sales) -> float:
    """The first of JUDGED_DAYS in which enough was taken; the last where there is none."""
    return next(
        (days for days in JUDGED_DAYS if len(sales.taken(0.0, days)) >= ENOUGH_TAKEN), JUDGED_DAYS[-1]
    )


def foresight(sales: Sales, since: float, days: float) -> Floats:
    """
    (windows,) NDCG@LIST of each window's most taken items, as of ``since + days`` days ago, in the ``days`` behind it.

    Each shopper who took something counts alike; 0 where nobody did.
    """
    judged = sales.taken(since, since + days)
    user, item = sales.user[judged], sales.item[judged]
    took = np.bincount(user)
    gain = 1.0 / np.log2(np.arange(LIST) + 2.0)
    ideal = np.concatenate([[1.0], np.cumsum(gain)])[np.minimum(took, LIST)]
    found = np.zeros(len(WINDOWS), np.float32)
    for window, rate in enumerate(sales.daily_buyers(since + days)):
        top = np.argsort(-rate, kind="stable")[:LIST]
        top = top[rate[top] > 0]
        worth = np.zeros(sales.items)
        worth[top] = gain[: len(top)]
        found[window] = (worth[item] / ideal[user]).sum() / max((took > 0).sum(), 1)
    return found
