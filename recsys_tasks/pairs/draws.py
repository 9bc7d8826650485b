"""
The kinds of negatives: each turns numbers from 0 to 1 into items.

``popular`` draws ~ count ** exponent (word2vec's smoothing, Mikolov et al. 2013), ``uniform`` any item the log has
seen (BPR, Rendle et al. 2009, arXiv 1205.2618, section 4.1, draws so), ``other_shopper`` another shopper, each alike,
and one of the items that she has touched. ``hard`` draws from the
neighbours of the anchor (pairs/neighbours.py).
"""

import numpy as np

from recsys_tasks.pairs.coding import Floats
from recsys_tasks.pairs.keys import Codes, Ints, Numbers

BUCKETS_PER_ITEM = 4


class Popular:
    """
    Items by their share of a total.

    A table of buckets tells the first item that a number may mean; few lie farther. The items are those that a
    binary search among the running totals finds.
    """

    def __init__(self, shares: Floats) -> None:
        self._until = np.cumsum(shares)
        self._total = self._until[-1]
        # A power of two: a number's bucket, and where a bucket begins, are exact.
        self._buckets = 1 << int(np.ceil(np.log2(BUCKETS_PER_ITEM * len(shares))))
        begins = np.arange(self._buckets) / self._buckets * self._total
        self._first = np.searchsorted(self._until, begins, side="right").astype(np.int32)
        # Rounding may lift the largest number onto the total itself.
        self._until[-1] = np.inf

    def items(self, dice: Floats) -> Ints:
        item: Ints = self._first[(dice * self._buckets).astype(np.int32)].astype(np.int64)
        item = np.minimum(item, len(self._until) - 1)
        target = dice * self._total
        behind = np.flatnonzero(self._until[item] <= target)
        while len(behind):
            item[behind] += 1
            behind = behind[self._until[item[behind]] <= target[behind]]
        return item


def uniform(dice: Floats, n_items: int | Ints) -> Ints:
    item: Ints = np.minimum((dice * n_items).astype(np.int64), n_items - 1)
    return item


def of_another_shopper(dice: Floats, shopper: Numbers, starts: Ints, items: Codes) -> Ints:
    """An item of somebody else; the digits behind the point that chose the shopper choose the item."""
    others = np.flatnonzero(np.diff(starts))
    if len(others) < 2:
        return items[np.zeros(len(dice), dtype=np.int64)].astype(np.int64)
    # One shopper fewer to choose from: whoever stands from the own place on is the next one.
    own = np.searchsorted(others, shopper)
    scaled = dice * (len(others) - 1)
    chosen = uniform(dice, len(others) - 1)
    rest = scaled - chosen
    other = others[chosen + (chosen >= own)]
    counts = starts[other + 1] - starts[other]
    item: Ints = items[starts[other] + uniform(rest, counts)].astype(np.int64)
    return item
