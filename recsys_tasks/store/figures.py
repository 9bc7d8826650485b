"""What is counted while lists stream into the database; memory grows with the catalogue, not with the shoppers."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys_tasks.store.shards import Ints, Shard, matrix
from recsys_tasks.store.texts import Coded, Texts


@dataclass(frozen=True)
class Offer:
    """
    The night's catalogue: its n item ids, and which of them may be recommended (n,).

    ``of`` makes it; without ``offered`` every known item may be.
    """

    known: Texts
    may: NDArray[np.bool_]

    @classmethod
    def of(cls, known: pl.Series, offered: pl.Series | None = None) -> "Offer":
        ids = known.unique()
        may = pl.repeat(True, len(ids), eager=True) if offered is None else ids.is_in(offered.implode())
        return cls(Texts.of(ids), may.to_numpy())

    def places(self, items: pl.Series) -> Ints:
        """(m,) where items stand in the catalogue; -1 for those that it lacks."""
        places = self.known.coded(items).places.astype(np.int64)
        return np.where(places < len(self.may), places, -1)


@dataclass
class Figures:
    """
    Counts over all shards, which share a coding: ``rows``, ``users`` (lists) and ``short`` lists; rows that are
    ``duplicates`` within their list, ``unknown`` to the catalogue, ``unavailable`` or ``misranked``.
    """

    top_k: int
    offer: Offer | None = None
    rows: int = 0
    users: int = 0
    short: int = 0
    duplicates: int = 0
    unknown: int = 0
    unavailable: int = 0
    misranked: int = 0
    shown: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    known: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    """Where the items met so far stand in the catalogue; -1 for those that it lacks."""

    def __post_init__(self) -> None:
        self.shown = np.zeros(0 if self.offer is None else len(self.offer.may), bool)

    def add(self, shard: Shard) -> None:
        self.rows += len(shard.frame)
        self.users += len(shard)
        self.short += int((shard.lengths < self.top_k).sum())
        self.misranked += int((shard.frame["rank"].to_numpy() != _places(shard) + 1).sum())
        self.duplicates += _repeats(shard)
        if self.offer is not None:
            self._look_up(shard.items, self.offer)

    def _look_up(self, items: Coded, offer: Offer) -> None:
        """Count what the catalogue says of the items: an item is looked up once, and its rows are counted."""
        self.known = np.append(self.known, offer.places(items.texts.since(len(self.known))))
        rows = np.bincount(items.places, minlength=len(self.known))
        counts = np.bincount(self.known + 1, weights=rows, minlength=1 + len(offer.may)).astype(np.int64)
        self.unknown += int(counts[0])
        self.unavailable += int(counts[1:][~offer.may].sum())
        self.shown |= counts[1:] > 0

    @property
    def coverage(self) -> float | None:
        """The share of the items on offer that stands in some list; None where no catalogue was given."""
        if self.offer is None or not self.offer.may.any():
            return None
        return round(float((self.shown & self.offer.may).sum() / self.offer.may.sum()), 6)

    def as_facts(self) -> dict[str, Any]:
        """What is kept with the generation."""
        names = "rows users short duplicates unknown unavailable misranked coverage".split()
        return {name: getattr(self, name) for name in names}


def _places(shard: Shard) -> Ints:
    """(m,) each row's place in its list, from 0."""
    return np.arange(len(shard.frame)) - np.repeat(shard.starts, shard.lengths)


def _repeats(shard: Shard) -> int:
    """How many rows repeat an item of their list."""
    count = 0
    for rows in shard.by_length():
        # Equal ones stand side by side when sorted.
        ordered = np.sort(matrix(shard.items.places, rows), axis=1)
        count += int((ordered[:, 1:] == ordered[:, :-1]).sum())
    return count
