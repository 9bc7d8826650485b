"""
Lists as one block of PostgreSQL's binary COPY, built a column at a time: lists of one length are a matrix.

A row is the number of its fields, then each field behind its length; scores are an array: a header, then each element
behind its length. All item ids of the lists are joined at once and cut between lists: no id is touched one by one.
"""

from collections.abc import Iterator
from itertools import chain, pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys_tasks.errors import DataError
from recsys_tasks.store.shards import Ints, Shard, joined, matrix, taken
from recsys_tasks.store.texts import Codes, Texts

FIELDS = ("subject_id", "surface", "scores", "sources", "reasons", "item_ids")
OPENING = b"PGCOPY\n\xff\r\n\0" + bytes(8)
CLOSING = b"\xff\xff"
REAL_OID = 700
# What stands before an id: the first of these that no id of the lists holds. Upstream no id holds a control character.
MARKS = "\x1f\x1e\x1d\x1c" + "".join(map(chr, [*range(1, 28), *range(0xE000, 0xF900)]))


def copy_block(shard: Shard, surface: str, texts: Texts) -> bytes:
    """The rows of a shard's lists."""
    scores = shard.frame["score"].to_numpy().view(np.int32)
    sources, reasons = texts.codes(shard.sources), texts.codes(shard.reasons)
    pieces: list[bytes | memoryview] = []
    for rows in shard.by_length():
        users = shard.frame["user_id"].gather(rows[:, 0])
        ids, bounds = _item_ids(shard.frame["item_id"], rows)
        numbers = _numbers(
            matrix(scores, rows), matrix(sources, rows), matrix(reasons, rows), np.diff(bounds)
        )
        pieces += chain.from_iterable(zip(_heads(users, surface), numbers, _cut(ids, bounds), strict=True))
    return b"".join(pieces)


def _heads(users: pl.Series, surface: str) -> list[bytes]:
    """Each list's number of fields, and the first two."""
    opening, behind = len(FIELDS).to_bytes(2, "big"), _field(surface)
    return [opening + _field(user) + behind for user in users]


def _field(text: str) -> bytes:
    whole = text.encode()
    return len(whole).to_bytes(4, "big") + whole


def _numbers(
    scores: NDArray[np.int32], sources: Codes, reasons: Codes, item_bytes: Ints
) -> Iterator[memoryview]:
    """Each list's fields of scores, sources and reasons; then how many bytes of item ids follow."""
    lists, length = scores.shape
    row = np.dtype(
        [
            ("scores_bytes", ">i4"),
            # Dimensions, whether it holds nulls, type of the elements, how many, number of the first.
            ("header", ">i4", 5),
            ("scores", [("bytes", ">i4"), ("bits", ">i4")], length),
            ("sources_bytes", ">i4"),
            ("sources", ">u4", length),
            ("reasons_bytes", ">i4"),
            ("reasons", ">u4", length),
            ("item_bytes", ">i4"),
        ]
    )
    made = np.empty(lists, row)
    made["header"] = (1, 0, REAL_OID, length, 1)
    made["scores"]["bytes"], made["scores"]["bits"] = 4, scores
    made["sources"], made["reasons"], made["item_bytes"] = sources, reasons, item_bytes
    made["scores_bytes"] = row["header"].itemsize + row["scores"].itemsize
    made["sources_bytes"] = made["reasons_bytes"] = row["sources"].itemsize
    return _cut(made.view(np.uint8).data, np.arange(lists + 1) * row.itemsize)


def _item_ids(column: pl.Series, rows: Ints) -> tuple[memoryview, Ints]:
    """The ids of all lists, each behind a mark, and where lists begin and end."""
    items = taken(column, rows)
    for mark in map(str.encode, MARKS):
        whole = mark + joined(items, mark.decode())
        if whole.count(mark) == len(items):
            ends = np.cumsum(items.str.len_bytes().to_numpy().astype(np.int64) + len(mark))
            return memoryview(whole), np.append(0, ends[rows.shape[1] - 1 :: rows.shape[1]])
    raise DataError("lists: column item_id holds every character that could stand between ids")


def _cut(whole: memoryview, bounds: Ints) -> Iterator[memoryview]:
    return (whole[begin:end] for begin, end in pairwise(bounds.tolist()))
