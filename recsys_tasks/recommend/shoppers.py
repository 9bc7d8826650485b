"""A batch of shoppers with what each of them did, ready to be looked up by (shopper, item)."""

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from recsys_tasks.model.popularity import distinct
from recsys_tasks.recommend.context import Context
from recsys_tasks.recommend.lazy import Lazy, Views
from recsys_tasks.recommend.log import Bools, Floats, Ints
from recsys_tasks.recommend.together import speaks_for

# What the shopper did in the last weeks, beside the long history, for the neighbours.
RECENT_HALF_LIFE = 20.0


@dataclass(frozen=True)
class Shoppers:
    """
    B shoppers. A (shopper, item) is one number, its key: place in the batch * n items + position of the item.

    ``ids`` has each shopper once.
    """

    context: Context
    ids: pl.Series
    views: Views = field(default_factory=Views, init=False, repr=False, compare=False)

    @Lazy
    def rows(self) -> tuple[Ints, Ints]:
        """(place in the batch, row of the log) of the events on items of the catalogue."""
        places, rows = self.context.log.rows_of(self.context.users(self.ids))
        known = self.context.log.item[rows] >= 0
        return places[known], rows[known]

    @Lazy
    def usable(self) -> tuple[Ints, Ints]:
        """(place in the batch, row of the log) of the events that models read."""
        places, rows = self.rows
        reads = self.context.log.weight[rows] > 0
        return places[reads], rows[reads]

    @Lazy
    def has_history(self) -> Bools:
        """(B,) whether the shopper has an event that models read: one with a weight, on an item of the catalogue."""
        return np.bincount(self.usable[0], minlength=len(self.ids)) > 0

    def key(self, shopper: Ints, item: Ints) -> Ints:
        return shopper * len(self.context.allowed) + item

    def split(self, key: Ints) -> tuple[Ints, Ints]:
        """The (shopper, item) of keys."""
        return np.divmod(key, len(self.context.allowed))

    @Lazy
    def seen(self) -> Ints:
        """Sorted keys of every (shopper, item) with an event of any type."""
        places, rows = self.rows
        return distinct(self.key(places, self.context.log.item[rows]))

    def is_seen(self, key: Ints) -> Bools:
        return found(self.seen, key)[1]

    @Lazy
    def own(self) -> "Habits":
        """The shoppers' purchases item by item; its keys are those of ``key``."""
        return Habits.of(self, np.arange(len(self.context.allowed)), len(self.context.allowed))

    @Lazy
    def neighbour_scores(self) -> Floats:
        """(B, m) how much each shopper's history speaks for the items of ``context.neighbours``."""
        half_life = self.context.neighbours.half_life_days
        return speaks_for(self.context, self.usable, len(self.ids), half_life)

    @Lazy
    def recent_neighbour_scores(self) -> Floats:
        """The same of the last weeks' events alone."""
        return speaks_for(self.context, self.usable, len(self.ids), RECENT_HALF_LIFE)


def found(table: Ints, key: Ints) -> tuple[Ints, Bools]:
    """Where each key stands in a sorted table (0 where it does not), and whether it does."""
    if not len(table):
        return np.zeros(len(key), np.int64), np.zeros(len(key), bool)
    place = np.minimum(np.searchsorted(table, key), len(table) - 1)
    hit = table[place] == key
    return np.where(hit, place, 0), hit


@dataclass(frozen=True)
class Habits:
    """
    The shoppers' own purchases (target events) by item, or by groups of items; a row per (shopper, group).

    ``key`` is shopper * groups + group, sorted. ``age`` and ``weight`` are the single events behind the rows, from
    ``start[row]`` to ``start[row + 1]``, newest first.
    """

    groups: int
    key: Ints
    start: Ints
    age: Floats
    weight: Floats
    # Days since the newest and the oldest purchase.
    last: Floats
    first: Floats
    # Distinct days with a purchase, and the median number of days between two of them (nan with one day).
    days: Floats
    cadence: Floats

    @classmethod
    def of(cls, shoppers: Shoppers, code: Ints, groups: int) -> "Habits":
        """``code`` (n items,) gives each item its group."""
        places, rows = shoppers.rows
        log = shoppers.context.log
        bought = log.is_target[rows]
        key = places[bought] * groups + code[log.item[rows[bought]]]
        age, weight = log.age[rows[bought]], log.weight[rows[bought]]
        order = np.lexsort((age, key))
        key, age, weight = key[order], age[order], weight[order]
        begins = np.flatnonzero(np.diff(key, prepend=-1))
        start = np.append(begins, len(key)).astype(np.int64)
        days, cadence = _cadence(np.floor(age), begins, len(key))
        first = age[start[1:] - 1] if len(key) else age
        return cls(groups, key[begins], start, age, weight, age[begins], first, days, cadence)

    def find(self, shopper: Ints, group: Ints) -> tuple[Ints, Bools]:
        """The row of each (shopper, group), 0 where there is none, and whether there is one."""
        return found(self.key, shopper * self.groups + group)

    def decayed(self, half_life: float) -> Floats:
        """Purchases counted with their weight, halved for every ``half_life`` days of age: a row each."""
        if not len(self.key):
            return np.zeros(0, np.float32)
        return np.add.reduceat(self.weight * np.exp2(-self.age / half_life), self.start[:-1]).astype(
            np.float32
        )


def _cadence(day: Floats, begins: Ints, size: int) -> tuple[Floats, Floats]:
    """Distinct days and the (lower) median gap between them for groups of ascending days."""
    if not size:
        return np.zeros(0, np.float32), np.zeros(0, np.float32)
    is_begin = np.zeros(size, bool)
    is_begin[begins] = True
    gap = np.diff(day, prepend=0.0)
    is_gap = ~is_begin & (gap > 0)
    days = 1 + np.add.reduceat(is_gap, begins, dtype=np.int64)
    group = np.cumsum(is_begin)[is_gap] - 1
    sorted_gaps = gap[is_gap][np.lexsort((gap[is_gap], group))]
    gaps = days - 1
    middle = np.cumsum(gaps) - gaps + np.maximum(gaps - 1, 0) // 2
    cadence = np.full(len(begins), np.nan, np.float32)
    cadence[gaps > 0] = sorted_gaps[middle[gaps > 0]]
    return days.astype(np.float32), cadence
