"""
Rows of whole numbers as one 64-bit key each.

A key that holds all columns, the first in the highest bits, is sorted, compared with its neighbour and taken apart
again far faster than the columns are. Widths come from the data, so most logs fit; who packs asks ``fits`` first.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Codes = npt.NDArray[np.uint32]
Ints = npt.NDArray[np.int64]
Kinds = npt.NDArray[np.uint8] | npt.NDArray[np.uint32]
Keys = npt.NDArray[np.uint64]
Numbers = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]

KEY_BITS = 64
# Rows that are worked on at a time: what is made of them stays in a core's cache.
CHUNK = 1 << 16


def width(largest: int) -> int:
    """Bits that numbers from 0 to ``largest`` need."""
    return int(largest).bit_length()


def chunks(rows: int, size: int = CHUNK) -> Iterator[slice]:
    for first in range(0, rows, size):
        yield slice(first, min(first + size, rows))


@dataclass(frozen=True)
class Layout:
    """How many bits each column has, the most significant first."""

    widths: tuple[int, ...]

    @property
    def fits(self) -> bool:
        return sum(self.widths) <= KEY_BITS

    def pack(self, *columns: Numbers) -> Keys:
        keys = columns[0].astype(np.uint64)
        for bits, column in zip(self.widths[1:], columns[1:], strict=True):
            keys <<= np.uint64(bits)
            keys |= column.astype(np.uint64, copy=False)
        return keys

    def numbered(self, column: Numbers, change: Callable[[Numbers], Numbers] | None = None) -> Keys:
        """The column, changed by a function where given, and the row's number."""
        keys = np.empty(len(column), dtype=np.uint64)
        for some in chunks(len(column)):
            part = column[some] if change is None else change(column[some])
            keys[some] = self.pack(part, np.arange(some.start, some.stop))
        return keys

    def part(self, keys: Keys, place: int, columns: int = 1) -> Keys:
        """The numbers of the column at ``place``; of several columns that follow one another, as one number."""
        behind = sum(self.widths[place + columns :])
        mask = (1 << sum(self.widths[place : place + columns])) - 1
        return (keys >> np.uint64(behind)) & np.uint64(mask)


def ordered(keys: Keys) -> Keys:
    """The keys in order (Polars sorts whole numbers in half the time of NumPy; equal keys cannot be told apart)."""
    return pl.Series(keys).sort().to_numpy()


def first_of_run(keys: Numbers) -> Bools:
    """Rows that differ from the row above."""
    first = np.ones(len(keys), dtype=bool)
    np.not_equal(keys[1:], keys[:-1], out=first[1:])
    return first


def offsets(counts: Numbers) -> Ints:
    """Where each of the runs of these lengths begins, and where the last ends."""
    ends = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=ends[1:])
    return ends
