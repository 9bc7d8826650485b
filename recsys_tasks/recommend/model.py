"""What can make lists: the night's model and the plain rules it must beat, behind one contract."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from recsys_tasks.recommend.candidates import SOURCES, popular, repeat
from recsys_tasks.recommend.context import Context
from recsys_tasks.recommend.log import Floats
from recsys_tasks.recommend.proposals import Proposals
from recsys_tasks.recommend.shoppers import Shoppers


@dataclass(frozen=True)
class Ranked:
    """A model's rows, by shopper, then rank; ``source`` (R,) is the place in SOURCES of who proposed each row."""

    rows: Proposals
    source: NDArray[np.int8]

    @classmethod
    def of(cls, rows: Proposals, source: str) -> "Ranked":
        """All rows from one source."""
        return cls(rows, np.full(len(rows), SOURCES.index(source), np.int8))


class Opened(Protocol):
    """A model that has looked at one shop at one instant; asked batch by batch."""

    @property
    def likeness(self) -> Floats | None:
        """(n, d) unit vectors of the catalogue's items, for "because you bought"; none where it has none."""

    def prepare(self) -> None:
        """Work out what every batch asks for and many threads make faster: batches have one each."""

    def rank(self, shoppers: Shoppers, *, new_only: bool, limit: int) -> Ranked:
        """At most ``limit`` allowed items a shopper, best first; with ``new_only`` none with an own event."""


class Model(Protocol):
    """Lists come from this; ``ref`` says which model made them."""

    @property
    def ref(self) -> str: ...

    def at(self, context: Context) -> Opened:
        """Look at a shop once, so that many batches of shoppers can be served."""


@dataclass(frozen=True)
class PopularModel:
    """The items with most distinct buyers in the last 7 days: the first champion."""

    ref: str = "popular/7-days"
    likeness: None = None

    def at(self, context: Context) -> "PopularModel":
        return self

    def prepare(self) -> None:
        """Nothing: orders are quickly made."""

    def rank(self, shoppers: Shoppers, *, new_only: bool, limit: int) -> Ranked:
        rows = popular.first(shoppers, limit, new_only)
        return Ranked.of(rows, popular.NAME)


@dataclass(frozen=True)
class RepeatModel:
    """The shopper's own purchases by decayed count; what is missing is filled from popularity."""

    ref: str = "repeat/decayed"
    likeness: None = None

    def at(self, context: Context) -> "RepeatModel":
        return self

    def prepare(self) -> None:
        """Nothing: orders are quickly made."""

    def rank(self, shoppers: Shoppers, *, new_only: bool, limit: int) -> Ranked:
        rows = repeat.own(shoppers, limit, new_only)
        return Ranked.of(rows, repeat.NAME)
