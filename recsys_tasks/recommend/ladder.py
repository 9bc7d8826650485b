"""
The order that lists without a model of their own follow: popularity over the days that tell most in this shop.

A week of a busy shop tells what sells now; in a shop with tens of events a day it is noise, and half a year tells more.
So each window is asked how well it foresaw the shop's own newest days, and the best one orders the ladder.
"""

import numpy as np

from recsys_tasks.recommend.log import Bools, Ints, Log
from recsys_tasks.recommend.popularity import Popularity

WINDOWS: tuple[float, ...] = (7.0, 28.0, 90.0, 180.0, 365.0)
# The newest days that windows are judged on: the first of these in which enough was taken.
JUDGED_DAYS = (28.0, 56.0, 112.0, 224.0)
ENOUGH_TAKEN = 1000
LIST = 20


def ladder(log: Log, allowed: Bools, popularity: Popularity) -> Ints:
    """
    Positions of the allowed items: by buyers in the window that foresaw the newest days best, ties by item_id; behind
    them the others in the order of ``popularity``.
    """
    count = _buyers(log, 0.0, best_window(log, len(allowed)), len(allowed))
    rest = popularity.order
    first = rest[count[rest] > 0]
    first = first[np.lexsort((first, -count[first]))]
    return np.concatenate([first, rest[count[rest] == 0]])


def best_window(log: Log, items: int) -> float:
    """
    The days of WINDOWS whose LIST most taken items, as of before the judged days, hold most of what was taken in them.

    Each shopper counts alike; of equals the shortest window. The shortest where the log has nothing to judge by.
    """
    judged = _judged_days(log)
    user, item = _taken(log, 0.0, judged)
    if not len(user):
        return WINDOWS[0]
    share = 1.0 / np.bincount(user)[user]
    found = [share[np.isin(item, _top(log, judged, days, items))].sum() for days in WINDOWS]
    return WINDOWS[int(np.argmax(np.round(found, 6)))]


def _judged_days(log: Log) -> float:
    return next(
        (days for days in JUDGED_DAYS if len(_taken(log, 0.0, days)[0]) >= ENOUGH_TAKEN), JUDGED_DAYS[-1]
    )


def _top(log: Log, since: float, days: float, items: int) -> Ints:
    count = _buyers(log, since, days, items)
    order = np.argsort(-count, kind="stable")[:LIST]
    return order[count[order] > 0]


def _buyers(log: Log, since: float, days: float, items: int) -> Ints:
    """(items,) distinct shoppers of each item in the ``days`` days that end ``since`` days before the snapshot."""
    return np.bincount(_taken(log, since, since + days)[1], minlength=items)


def _taken(log: Log, since: float, until: float) -> tuple[Ints, Ints]:
    """The distinct (user, item) with a target event that is more than ``since`` and at most ``until`` days old."""
    span = log.is_target & log.within(until) & (log.item >= 0)
    if since > 0:
        span &= ~log.within(since)
    width = int(log.item.max(initial=0)) + 1
    key = np.unique(log.user[span] * width + log.item[span])
    return key // width, key % width
