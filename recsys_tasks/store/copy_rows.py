"""
Lists as rows of PostgreSQL's binary COPY, built a column at a time.

An array is its header, then each element behind four bytes that tell its length. All texts of a shard are joined
with four NUL bytes between them, and the lengths are written into those gaps: no text is touched one by one.
"""

import struct
from collections.abc import Iterator
from itertools import repeat

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys_tasks.store.shards import Ints, Shard

# An array goes as the bytes that it is; the server reads them as the column's own type.
COPY_TYPES = ("text", "text", "bytea", "bytea", "bytea", "bytea")
TEXT_OID, REAL_OID = 25, 700
GAP = "\0" * 4
# Dimensions, whether it holds nulls, type of the elements, how many, number of the first.
HEADER = struct.Struct(">iiIii")

Row = tuple[str, str, bytes, bytes, bytes, bytes]


def copy_rows(shard: Shard, surface: str) -> Iterator[Row]:
    """(subject_id, surface, item_ids, scores, sources, reasons) of each list."""
    return zip(
        shard.user_ids,
        repeat(surface),
        _texts(shard.frame["item_id"], shard),
        _reals(shard.frame["score"], shard),
        _texts(shard.frame["source"], shard),
        _texts(shard.frame["reason"], shard),
        strict=False,
    )


def _texts(column: pl.Series, shard: Shard) -> Iterator[bytes]:
    lengths = column.str.len_bytes().to_numpy().astype(np.int64)
    begins = np.cumsum(lengths + 4) - lengths - 4
    joined = column.str.join(GAP).cast(pl.Binary)[0]
    elements = np.frombuffer(bytearray(4) + joined, np.uint8)
    longest = int(lengths.max(initial=0))
    for place, shift in enumerate((24, 16, 8, 0)):
        if longest >> shift:
            elements[begins + place] = (lengths >> shift) & 0xFF
    return _cut(elements, begins[shard.starts], shard.lengths, TEXT_OID)


def _reals(column: pl.Series, shard: Shard) -> Iterator[bytes]:
    elements = np.empty(len(column), [("length", ">i4"), ("value", ">f4")])
    elements["length"], elements["value"] = 4, column.to_numpy()
    return _cut(elements.view(np.uint8), shard.starts * 8, shard.lengths, REAL_OID)


def _cut(elements: NDArray[np.uint8], begins: Ints, lengths: Ints, oid: int) -> Iterator[bytes]:
    """Each list's share of the elements, behind a header."""
    whole = memoryview(elements)  # type: ignore[arg-type]
    bounds = [*begins.tolist(), len(elements)]
    for begin, end, length in zip(bounds, bounds[1:], lengths.tolist(), strict=False):
        yield HEADER.pack(1, 0, oid, length, 1) + whole[begin:end]
