"""Codes for the sources and reasons of a generation: a text is stored once, however many rows give it."""

import numpy as np
from numpy.typing import NDArray

from recsys_tasks.store.shards import Coded

# So many are held in memory while lists stream through; then they are written, and counting goes on.
MANY = 200_000
CODE = np.dtype(">u4")

Codes = NDArray[np.uint32]


class Texts:
    """Texts and their codes: what is met first has the smaller number, from ``first``."""

    def __init__(self, first: int = 0) -> None:
        self.first = first
        self._numbers: dict[str, int] = {}

    def codes(self, column: Coded) -> Codes:
        """(m,) the code of each row's text."""
        known = self._numbers
        numbers = [known.setdefault(text, self.end) for text in column.texts]
        return np.array(numbers, CODE)[column.codes]

    @property
    def are_many(self) -> bool:
        return len(self._numbers) >= MANY

    @property
    def end(self) -> int:
        """The first number that is free."""
        return self.first + len(self._numbers)

    def table(self) -> dict[str, list[bytes] | list[str]]:
        """The columns ``codes`` and ``texts``."""
        codes = [number.to_bytes(CODE.itemsize, "big") for number in self._numbers.values()]
        return {"codes": codes, "texts": list(self._numbers)}
