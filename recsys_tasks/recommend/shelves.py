"""What sold lately in each category of a shop."""

from dataclasses import dataclass

import numpy as np

from recsys_tasks.recommend.context import Context
from recsys_tasks.recommend.log import Floats, Ints

# What a buyer of 90 days counts beside one of 28, so that a quiet category has its shelf too.
QUARTER_SHARE = 0.3


@dataclass(frozen=True)
class Shelves:
    """
    The items of each group that sold lately, best first: ``items`` and their ``share`` of the group's buyers, from
    ``start[g]`` to ``start[g + 1]``.
    """

    start: Ints
    items: Ints
    share: Floats

    @classmethod
    def build(cls, context: Context, group: Ints, groups: int) -> "Shelves":
        """``group`` (n,) is the group of each item, below ``groups``."""
        facts, allowed = context.facts, context.allowed_places
        buyers = np.expm1(facts.buyers_28[allowed]) + QUARTER_SHARE * np.expm1(facts.buyers_90[allowed])
        sold, buyers = allowed[buyers > 0], buyers[buyers > 0]
        total = np.bincount(group[sold], weights=buyers, minlength=groups)
        order = np.lexsort((sold, -np.round(buyers, 3), group[sold]))
        start = np.searchsorted(group[sold][order], np.arange(groups + 1)).astype(np.int64)
        return cls(start, sold[order], (buyers / total[group[sold]])[order].astype(np.float32))
