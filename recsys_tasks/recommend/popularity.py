"""How many shoppers took each item lately, and the order that every fallback follows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys_tasks.model.popularity import buyers
from recsys_tasks.recommend.log import Bools, Ints, Log

# The rungs of the fallback ladder below the shopper's own model: days, and what the shopper reads of an item that
# at least POPULAR_BUYERS shoppers took in them: one may be the shopper who reads it.
RUNGS: tuple[tuple[float, str], ...] = (
    (7.0, "popular this week"),
    (28.0, "popular this month"),
    (float("inf"), "popular with other shoppers"),
)
POPULAR_BUYERS = 2
# What a shopper reads of an item that one shopper took, and of one that nobody did.
TAKEN = "{} before in this shop"
UNTOUCHED = "new to explore"
WORDS = (*(words for _, words in RUNGS), TAKEN, UNTOUCHED)


def buyers_within(log: Log, days: float, items: int) -> Ints:
    """
    Distinct shoppers with a target event on each item in the last ``days`` days: (items,).

    Windows are those of ``model.popularity``, to the microsecond.
    """
    recent = log.is_target & log.within(days) & (log.item >= 0)
    return buyers(log.user[recent], log.item[recent], items)


@dataclass(frozen=True)
class Popularity:
    """
    The allowed items in the order of the fallback ladder.

    ``order`` holds their positions: first what sold in 7 days, then in 28, then ever, then the rest; within a rung
    by buyers, ties by item_id. ``place`` (n,) is where an item stands in it; ``words`` (n,) the place in WORDS of
    what a shopper reads beside the item.
    """

    order: Ints
    place: Ints
    words: NDArray[np.int8]

    @classmethod
    def of(cls, log: Log, allowed: Bools) -> "Popularity":
        items = len(allowed)
        rung = np.full(items, len(RUNGS), dtype=np.int8)
        words = np.full(items, WORDS.index(UNTOUCHED), dtype=np.int8)
        count = np.zeros(items, dtype=np.int64)
        for number, (days, _) in reversed(list(enumerate(RUNGS))):
            seen = buyers_within(log, days, items)
            rung[seen > 0], count[seen > 0] = number, seen[seen > 0]
            # The widest window comes first, and a narrower one that is popular enough to be named takes its place.
            words[(seen > 0) & (words == WORDS.index(UNTOUCHED))] = WORDS.index(TAKEN)
            words[seen >= POPULAR_BUYERS] = number
        # lexsort is stable, and positions follow item_id: that is the tie order.
        order = np.lexsort((-count, rung))
        order = order[allowed[order]].astype(np.int64)
        place = np.full(items, items, dtype=np.int64)
        place[order] = np.arange(len(order))
        return cls(order, place, words)

    def reason(self, item: int, happened: str = "bought") -> str:
        """What a shopper reads beside an item that stands in the list for its popularity; ``happened`` to it."""
        return WORDS[int(self.words[item])].format(happened)
