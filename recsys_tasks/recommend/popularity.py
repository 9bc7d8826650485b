"""How many shoppers took each item lately, and the order that every fallback follows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys_tasks.recommend.log import Bools, Ints, Log

# The rungs of the fallback ladder below the shopper's own model: days, and what the shopper reads.
RUNGS: tuple[tuple[float, str], ...] = (
    (7.0, "popular this week"),
    (28.0, "popular this month"),
    (float("inf"), "popular with other shoppers"),
)
UNTOUCHED = "new to explore"


def buyers(log: Log, days: float, items: int) -> Ints:
    """Distinct shoppers with a target event on each item in the last ``days`` days: (items,)."""
    recent = log.is_target & (log.age <= days) & (log.item >= 0)
    pairs = np.unique(log.user[recent] * items + log.item[recent])
    return np.bincount(pairs % items, minlength=items).astype(np.int64) if items else np.zeros(0, np.int64)


@dataclass(frozen=True)
class Popularity:
    """
    The allowed items in the order of the fallback ladder.

    ``order`` holds their positions: first what sold in 7 days, then in 28, then ever, then the rest; within a rung
    by buyers, ties by item_id. ``rung`` (n,) says on which rung an item stands (3: nobody took it yet).
    """

    order: Ints
    rung: NDArray[np.int8]
    place: Ints

    @classmethod
    def of(cls, log: Log, allowed: Bools) -> "Popularity":
        items = len(allowed)
        rung = np.full(items, len(RUNGS), dtype=np.int8)
        count = np.zeros(items, dtype=np.int64)
        for number, (days, _) in reversed(list(enumerate(RUNGS))):
            seen = buyers(log, days, items)
            rung[seen > 0], count[seen > 0] = number, seen[seen > 0]
        # lexsort is stable, and positions follow item_id: that is the tie order.
        order = np.lexsort((-count, rung))
        order = order[allowed[order]].astype(np.int64)
        place = np.full(items, items, dtype=np.int64)
        place[order] = np.arange(len(order))
        return cls(order, rung, place)

    def reason(self, item: int) -> str:
        """What a shopper reads beside an item that stands in the list for its popularity."""
        rung = int(self.rung[item])
        return RUNGS[rung][1] if rung < len(RUNGS) else UNTOUCHED
