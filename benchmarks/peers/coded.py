"""A log as arrays: positions of users and items, ages, and the user-item matrices that peers learn from."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from benchmarks.peers.base import Log

DAY_US = 86_400_000_000

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


def positions(values: pl.Series, ids: pl.Series) -> Ints:
    """(E,) place of each value in the sorted, distinct ``ids``; -1 where it is not there."""
    if ids.is_empty():
        return np.full(len(values), -1)
    found = ids.search_sorted(values).cast(pl.Int64).to_numpy()
    place = np.minimum(found, len(ids) - 1)
    return np.where((ids.gather(place) == values).to_numpy(), place, -1)


def ages(log: Log) -> NDArray[np.float64]:
    """(E,) days before the cut; without times the number of later events of the same user."""
    if log.times is not None:
        assert log.cut is not None
        return (log.cut - log.times.to_numpy()) / DAY_US
    return later_events(log.users).cast(pl.Float64).to_numpy()


def later_events(users: pl.Series) -> pl.Series:
    """(E,) how many events of the same user follow; 0 marks each user's last."""
    place = pl.int_range(pl.len()).reverse().over("user")
    return pl.DataFrame({"user": users}).select(place).to_series()


@dataclass(frozen=True)
class Coded:
    """
    E events as positions: ``user`` (E,) in ``users``, ``item`` (E,) in ``items``, both sorted id lists.

    At most ``max_items`` items are kept, those with most distinct users (ties by item_id); events of others
    are left out, their users stay.
    """

    users: pl.Series
    items: pl.Series
    user: Ints
    item: Ints
    age: NDArray[np.float64]
    weight: NDArray[np.float64]

    @classmethod
    def of(cls, log: Log, max_items: int | None = None) -> "Coded":
        """Positions of a log's events."""
        items = log.items.unique().sort()
        if max_items is not None and len(items) > max_items:
            items = _most_touched(log, max_items)
        return cls._at(log, items)

    def read(self, log: Log) -> "Coded":
        """Another log's users and events, on the items of this one."""
        return Coded._at(log, self.items)

    @classmethod
    def _at(cls, log: Log, items: pl.Series) -> "Coded":
        users = log.users.unique().sort()
        user, item = positions(log.users, users), positions(log.items, items)
        kept = item >= 0
        return cls(users, items, user[kept], item[kept], ages(log)[kept], log.weight()[kept])

    def matrix(self, half_life: float | None = None) -> sparse.csr_matrix:
        """
        (U, m) float32: the largest weight among a user's events with an item, 1 for the log's heaviest kind.

        With ``half_life`` (days; events where there are no times) a weight halves in that time.
        """
        value = self.weight / self.weight.max(initial=1e-12)
        if half_life is not None:
            value = value * np.exp2(-self.age / half_life)
        cell = self.user * len(self.items) + self.item
        order = np.lexsort((value, cell))
        last = np.flatnonzero(np.diff(cell[order], append=-1))
        best = order[last]
        return sparse.csr_matrix(
            (value[best].astype(np.float32), (self.user[best], self.item[best])),
            shape=(len(self.users), len(self.items)),
        )


def _most_touched(log: Log, limit: int) -> pl.Series:
    counts = (
        pl.DataFrame({"item": log.items, "user": log.users}).group_by("item").agg(pl.col("user").n_unique())
    )
    return counts.sort("user", "item", descending=[True, False])["item"].head(limit).sort()


def popularity(log: Log, items: pl.Series, days: float | None = None, share: float | None = None) -> Ints:
    """
    (n,) distinct users of each of ``items`` by the log's wanted events.

    days: only events of the last days before the cut. share: only the last share of the events, for logs
    without times.
    """
    log = log.learned()
    keep = np.ones(len(log), bool) if log.wanted is None else log.wanted.to_numpy().copy()
    if days is not None and log.times is not None:
        keep &= ages(log) <= days
    if share is not None:
        keep &= np.arange(len(log)) >= len(log) * (1 - share)
    rows = pl.DataFrame({"item": log.items, "user": log.users}).filter(pl.Series(keep)).unique()
    place = positions(rows["item"], items)
    return np.bincount(place[place >= 0], minlength=len(items))
