"""
Histories whose order is known and whose times are not: items of each shopper, oldest first, packed in one array.

Items are codes into a catalogue that the owner of the sequences keeps.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from recsys_tasks.errors import DataError

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sequences:
    """N sequences of E items in all."""

    items: Ints
    """(E,) item codes, sequence by sequence, oldest first."""
    offsets: Ints
    """(N + 1,) where each sequence begins; the last entry is E."""

    def __post_init__(self) -> None:
        ends = (int(self.offsets[0]), int(self.offsets[-1])) if len(self.offsets) else (-1, -1)
        if ends != (0, len(self.items)) or (np.diff(self.offsets) < 0).any():
            raise DataError(
                f"offsets of sequences must rise from 0 to {len(self.items)}, the number of items"
            )

    @classmethod
    def of(cls, lists: Iterable[Sequence[int] | Ints]) -> "Sequences":
        """Pack lists of item codes."""
        arrays = [np.asarray(some, dtype=np.int64) for some in lists]
        lengths = np.array([len(array) for array in arrays], dtype=np.int64)
        items = np.concatenate(arrays) if arrays else np.zeros(0, np.int64)
        return cls(items, np.concatenate([[0], np.cumsum(lengths)]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> Ints:
        return self.items[self.offsets[row] : self.offsets[row + 1]]

    @property
    def lengths(self) -> Ints:
        """(N,)"""
        return np.diff(self.offsets)

    def rows(self, rows: Ints) -> "Sequences":
        """These sequences, in this order."""
        return Sequences.of(self[int(row)] for row in rows)

    def last(self, n: int) -> "Sequences":
        """At most the newest ``n`` items of each."""
        starts = np.maximum(self.offsets[:-1], self.offsets[1:] - n)
        return Sequences.of(self.items[a:b] for a, b in zip(starts, self.offsets[1:], strict=True))

    def without(self, hidden: npt.NDArray[np.bool_]) -> "Sequences":
        """The sequences with every occurrence of the hidden items (mask over the catalogue) taken out."""
        kept = ~hidden[self.items]
        return Sequences(self.items[kept], np.concatenate([[0], np.cumsum(kept)])[self.offsets])

    def counts(self, n_items: int) -> Ints:
        """(V,) occurrences of each item of a catalogue of ``n_items``."""
        return np.bincount(self.items, minlength=n_items)

    def matrix(self, n_items: int, decay: float = 1.0) -> csr_matrix:
        """(N, V): ``decay`` ** (items that came after it); an item met twice counts with its newest place."""
        age = np.repeat(self.offsets[1:], self.lengths) - 1 - np.arange(len(self.items))
        row = np.repeat(np.arange(len(self)), self.lengths)
        # Newest first, so that the first of equal cells is the one that counts.
        order = np.lexsort((age, self.items, row))
        row, item, age = row[order], self.items[order], age[order]
        first = np.ones(len(row), dtype=np.bool_)
        first[1:] = (row[1:] != row[:-1]) | (item[1:] != item[:-1])
        values = np.power(np.float32(decay), age[first].astype(np.float32))
        return csr_matrix((values, (row[first], item[first])), (len(self), n_items))
