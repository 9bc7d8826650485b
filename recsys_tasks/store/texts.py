"""Texts by numbers: a text is looked at and stored once, however many rows hold it."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

# So many are held in memory while lists stream through; then they are written, and counting goes on.
MANY = 200_000
# As databases keep a number: four bytes, so that a list's numbers can be cut out of one field.
CODE = np.dtype(">u4")

Codes = NDArray[np.uint32]
Values = dict[str, Any]


class Texts:
    """
    Texts in the order they are met: a text that is met again has the place it had.

    Where they are stored, the text at place p has the code ``first + p``.
    """

    def __init__(self, first: int = 0) -> None:
        self.first = first
        self._kind = pl.Categorical(pl.Categories.random())
        self._held = pl.Series(
            [], dtype=self._kind
        )  # Polars keeps the texts as long as a column of that kind
        self._count = 0

    @classmethod
    def of(cls, texts: pl.Series) -> "Texts":
        """Of distinct texts, at the places where they stand."""
        made = cls()
        places = made.coded(texts).places
        assert (places == np.arange(len(texts))).all(), "a text stands here twice"
        return made

    def __len__(self) -> int:
        return self._count

    def coded(self, column: pl.Series) -> "Coded":
        """A column (m,) of texts without nulls."""
        places = column.cast(self._kind).to_physical().to_numpy()
        before = self._count
        if len(places):
            self._count = max(before, int(places.max()) + 1)
        return Coded(self, places, before)

    def since(self, place: int) -> pl.Series:
        """The texts from a place on."""
        places = pl.int_range(place, max(place, len(self)), dtype=pl.UInt32, eager=True)
        return places.cat.to(self._kind).cast(pl.String)

    def codes(self, column: "Coded") -> Codes:
        """(m,) the code of each row's text, as it is stored."""
        return (column.places + np.uint32(self.first)).astype(CODE)

    def codes_since(self, place: int) -> Codes:
        """The codes of ``since``."""
        return np.arange(self.first + place, self.end).astype(CODE)

    @property
    def are_many(self) -> bool:
        return len(self) >= MANY

    @property
    def end(self) -> int:
        """The first code that is free."""
        return self.first + len(self)


@dataclass(frozen=True)
class Coded:
    """A column of m texts: row i holds the text at ``places[i]``; from place ``before`` on they were new."""

    texts: Texts
    places: NDArray[np.uint32]
    before: int

    @property
    def new(self) -> pl.Series:
        return self.texts.since(self.before)


def text_values(texts: Texts, since: int = 0) -> Values:
    """The texts from a place on as a statement is given them: ``codes`` one after the other, ``texts`` as JSON."""
    return {"codes": texts.codes_since(since).tobytes(), "texts": as_json(texts.since(since).to_list())}


def as_json(texts: list[str]) -> str:
    """In one value: a parameter each would take longer to hand over than to read."""
    return json.dumps(texts, ensure_ascii=False)
