"""What every model and candidate source is asked about: one shop at one instant, with its rules applied."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import polars as pl

from recsys_tasks.lake.snapshot import Snapshot
from recsys_tasks.model.neighbours import Neighbours
from recsys_tasks.recommend.catalogue import ItemFacts
from recsys_tasks.recommend.ladder import ladder
from recsys_tasks.recommend.lazy import LentViews
from recsys_tasks.recommend.log import Bools, Ints, Log, positions, read_log
from recsys_tasks.recommend.popularity import Popularity
from recsys_tasks.recommend.rules import allowed_items
from recsys_tasks.settings import RuleSettings


@dataclass(frozen=True)
class Context:
    """
    A snapshot, the items a list may hold, and tables that are computed once and shared by all shoppers.

    Items are named by their position in ``items`` (n sorted ids) from here on.
    """

    snapshot: Snapshot
    allowed: Bools
    dropped: dict[str, int]
    weights: Mapping[str, float]
    target_events: Sequence[str]
    # Not of a context that is made from this one: another may allow other items.
    views: LentViews = field(default_factory=LentViews, init=False, repr=False, compare=False)

    @classmethod
    def open(
        cls,
        snapshot: Snapshot,
        rules: RuleSettings,
        weights: Mapping[str, float],
        target_events: Sequence[str],
    ) -> "Context":
        """Apply the shop's rules first: what they leave out is never a candidate."""
        allowed, dropped = allowed_items(snapshot, rules)
        return cls(snapshot, allowed, dropped, weights, target_events)

    @property
    def items(self) -> pl.Series:
        """(n,) item ids, sorted."""
        return self.snapshot.items["item_id"]

    @cached_property
    def allowed_places(self) -> Ints:
        """Positions of the allowed items, ascending."""
        return np.flatnonzero(self.allowed)

    @cached_property
    def log(self) -> Log:
        return read_log(self.snapshot, self.weights, self.target_events)

    @cached_property
    def popularity(self) -> Popularity:
        return Popularity.of(self.log, self.allowed)

    @cached_property
    def ladder(self) -> Ints:
        """Positions of the allowed items in the order that fills lists (``recommend.ladder``)."""
        return ladder(self.log, self.allowed, self.popularity)

    @cached_property
    def month(self) -> Ints:
        """Positions of the allowed items that sold in 28 days, most buyers first, ties by item_id."""
        buyers = self.facts.buyers_28
        order = np.argsort(-buyers, kind="stable")
        return order[self.allowed[order] & (buyers[order] > 0)]

    @cached_property
    def facts(self) -> ItemFacts:
        return ItemFacts.of(self.snapshot.items, self.log, self.snapshot.as_of)

    @cached_property
    def neighbours(self) -> Neighbours:
        """Which items belong together, by counts as of the snapshot."""
        return Neighbours.fit(self.snapshot.events, self.snapshot.as_of, self.weights)

    @property
    def neighbour_count(self) -> int:
        return len(self.neighbours.item_ids)

    @cached_property
    def neighbour_places(self) -> Ints:
        """(m,) positions of the neighbours' items; -1 where the catalogue lacks one."""
        return positions(self.neighbours.item_ids, self.items)

    @cached_property
    def neighbour_column(self) -> Ints:
        """(n,) the column that each item has among the neighbours; -1 where it has none."""
        return positions(self.items, self.neighbours.item_ids)

    def users(self, ids: pl.Series) -> Ints:
        """Positions of shoppers in the log; -1 for one without events."""
        return positions(ids, self.log.users)
