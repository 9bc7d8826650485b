"""
Lists as one block of PostgreSQL's binary COPY, built a column at a time: lists of one length are a matrix.

A row is the number of its fields, then each field behind its length.
"""

from collections.abc import Iterator
from itertools import chain

import numpy as np
import polars as pl

from recsys_tasks.store.coded_lists import COLUMNS, CodedLists, coded_lists
from recsys_tasks.store.shards import Shard
from recsys_tasks.store.texts import Texts

FIELDS = ("subject_id", "surface", *COLUMNS)
OPENING = b"PGCOPY\n\xff\r\n\0" + bytes(8)
CLOSING = b"\xff\xff"


def copy_block(shard: Shard, surface: str, words: Texts) -> bytes:
    """The rows of a shard's lists."""
    pieces: list[bytes | memoryview] = []
    for lists in coded_lists(shard, words):
        pieces += chain.from_iterable(zip(_heads(lists.users, surface), _codes(lists), strict=True))
    return b"".join(pieces)


def _heads(users: pl.Series, surface: str) -> list[bytes]:
    """Each list's number of fields, and the first two."""
    opening, behind = len(FIELDS).to_bytes(2, "big"), _field(surface)
    return [opening + _field(user) + behind for user in users]


def _field(text: str) -> bytes:
    whole = text.encode()
    return len(whole).to_bytes(4, "big") + whole


def _codes(lists: CodedLists) -> Iterator[memoryview]:
    """Each list's fields of four bytes a place."""
    field = np.dtype([("bytes", ">i4"), ("places", ">u4", lists.length)])
    row = np.dtype([(name, field) for name in COLUMNS])
    made = np.empty(len(lists.users), row)
    for name, column in lists.columns.items():
        made[name]["bytes"] = field["places"].itemsize
        made[name]["places"] = column.view(">u4")
    whole = made.view(np.uint8).data
    return (whole[begin : begin + row.itemsize] for begin in range(0, len(whole), row.itemsize))
