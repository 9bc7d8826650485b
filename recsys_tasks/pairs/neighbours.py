"""
Items near an item, nearest first: where hard negatives are drawn from.

Pairs are built before the night has any vectors, so the product's lists tell what is taken together: likeness is the
number of pairs (before caps per item) that hold both items, over the root of how many hold each. Lists of any other
likeness, as of texts, can be given instead.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from recsys_tasks.pairs.coding import CodedLog, Floats
from recsys_tasks.pairs.keys import Codes, Ints, Numbers, offsets
from recsys_tasks.pairs.positives import follow_ups
from recsys_tasks.settings import PairSettings


@dataclass(frozen=True)
class Neighbours:
    """Those of item ``i`` are ``items[starts[i]:starts[i + 1]]``, the likest first; equally like ones by id."""

    starts: Ints
    items: Codes
    likeness: Floats

    @classmethod
    def of_lists(cls, lists: pl.DataFrame, log: CodedLog) -> "Neighbours":
        """From rows (anchor_id, item_id, likeness); items that the log does not hold are left out."""
        _, anchor = log.codes(log.users.clear().extend_constant(None, len(lists)), lists["anchor_id"])
        _, item = log.codes(log.users.clear().extend_constant(None, len(lists)), lists["item_id"])
        rows = pl.DataFrame({"anchor": anchor, "item": item, "likeness": lists["likeness"].cast(pl.Float64)})
        return _packed(rows.filter(pl.col("anchor") >= 0, pl.col("item") >= 0), len(log.items))

    def likeness_of(self, anchor: Numbers, positive: Numbers) -> Floats:
        """How like each anchor its positive is; 0 where the list does not hold it."""
        listed = pl.DataFrame({"anchor": self._anchors(), "item": self.items, "likeness": self.likeness})
        asked = pl.DataFrame({"anchor": anchor, "item": positive}, {"anchor": pl.UInt32, "item": pl.UInt32})
        found = asked.join(listed, on=["anchor", "item"], how="left", maintain_order="left")
        return found["likeness"].fill_null(0.0).to_numpy()

    def below(self, anchor: Numbers, limit: Floats) -> tuple[Ints, Ints]:
        """Where the neighbours of each anchor that are less like it than ``limit`` begin and end."""
        low, high = self.starts[anchor], self.starts[anchor.astype(np.int64) + 1]
        end = high.copy()
        while (search := low < high).any():
            middle = (low + high) // 2
            above = search & (self.likeness[np.where(search, middle, 0)] >= limit)
            low, high = np.where(above, middle + 1, low), np.where(search & ~above, middle, high)
        return low, end

    def _anchors(self) -> Codes:
        return np.repeat(np.arange(len(self.starts) - 1, dtype=np.uint32), np.diff(self.starts))


def taken_together(log: CodedLog, settings: PairSettings, train_until: datetime) -> Neighbours:
    """The ``hard_neighbours`` nearest items of every item, by what shoppers took near it."""
    pairs = follow_ups(log, settings, train_until)
    count = np.bincount(pairs.anchor, minlength=len(log.items)) + np.bincount(
        pairs.positive, minlength=len(log.items)
    )
    both = pl.concat(
        [
            pl.DataFrame({"anchor": pairs.anchor, "item": pairs.positive}),
            pl.DataFrame({"anchor": pairs.positive, "item": pairs.anchor}),
        ]
    )
    rows = both.group_by("anchor", "item").len("together")
    held = count[rows["anchor"].to_numpy()] * count[rows["item"].to_numpy()].astype(np.float64)
    rows = rows.select("anchor", "item", likeness=pl.Series(rows["together"].to_numpy() / np.sqrt(held)))
    return _packed(rows, len(log.items), settings.hard_neighbours)


def _packed(rows: pl.DataFrame, n_items: int, limit: int | None = None) -> Neighbours:
    rows = rows.sort("anchor", "likeness", "item", descending=[False, True, False])
    if limit is not None:
        rows = rows.filter(pl.int_range(pl.len()).over("anchor") < limit)
    counts = np.bincount(rows["anchor"].to_numpy(), minlength=n_items)
    item = rows["item"].cast(pl.UInt32).to_numpy()
    return Neighbours(offsets(counts), item, rows["likeness"].to_numpy())
