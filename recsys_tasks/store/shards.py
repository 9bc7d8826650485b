"""One shard of lists, checked and in order: what is counted, and what is written."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys_tasks.errors import DataError, SchemaMismatch
from recsys_tasks.schema import Recommendations
from recsys_tasks.store.texts import Coded, Texts

ORDER = ("user_id", "rank", "item_id")

Ints = NDArray[np.int64]
Numbers = NDArray[Any]


@dataclass(frozen=True)
class Coding:
    """What a load remembers from shard to shard: the ids of ``items``, and the ``words`` of sources and reasons."""

    items: Texts = field(default_factory=Texts)
    words: Texts = field(default_factory=Texts)


@dataclass(frozen=True)
class Shard:
    """
    The lists of n shoppers: m rows by user_id, then rank.

    ``starts`` (n,): the first row of each list; ``lengths`` (n,): its rows. ``items``, ``sources`` and ``reasons``: of
    the m rows.
    """

    frame: pl.DataFrame
    starts: Ints
    lengths: Ints
    items: Coded
    sources: Coded
    reasons: Coded

    @classmethod
    def of(cls, frame: pl.DataFrame, coding: Coding) -> "Shard":
        """
        From rows of the Recommendations contract, in any order.

        Raises SchemaMismatch (a column is missing or null) or DataError (NUL, which PostgreSQL cannot store).
        """
        frame = _contract(frame)
        starts = _starts(frame)
        if not _in_order(frame, starts):
            frame = frame.sort(ORDER)
            starts = _starts(frame)
        _refuse_nul("user_id", frame["user_id"].gather(starts))
        with ThreadPoolExecutor(1) as beside:
            items = beside.submit(_coded, frame["item_id"], coding.items)
            # One after the other: they share their words, and a word's code is that of the same lists every time.
            sources, reasons = (_coded(frame[name], coding.words) for name in ("source", "reason"))
        return cls(frame, starts, np.diff(starts, append=len(frame)), items.result(), sources, reasons)

    def __len__(self) -> int:
        return len(self.starts)

    def by_length(self) -> Iterator[Ints]:
        """(lists, length) rows: the lists of each length that occurs, a matrix each."""
        for length in np.unique(self.lengths):
            yield self.starts[self.lengths == length][:, None] + np.arange(length)


def _starts(frame: pl.DataFrame) -> Ints:
    users = frame["user_id"]
    return users.ne_missing(users.shift(1)).arg_true().to_numpy().astype(np.int64)


def _in_order(frame: pl.DataFrame, starts: Ints) -> bool:
    """Whether users ascend, and ranks within each: as lists are written, so that few are sorted here."""
    rises = np.diff(frame["rank"].to_numpy()) > 0
    rises[starts[1:] - 1] = True
    users = frame["user_id"].gather(starts)
    return bool(rises.all()) and users.is_sorted() and users.n_unique() == len(users)


def _contract(frame: pl.DataFrame) -> pl.DataFrame:
    missing = [name for name in Recommendations.column_names() if name not in frame.columns]
    if missing:
        raise SchemaMismatch(f"lists lack the column {', '.join(missing)}")
    frame = frame.select(Recommendations.column_names())
    for name in frame.columns:
        if frame[name].null_count():
            raise SchemaMismatch(f"lists: column {name} has {frame[name].null_count()} rows without a value")
    return frame


def _coded(column: pl.Series, texts: Texts) -> Coded:
    coded = texts.coded(column)
    _refuse_nul(column.name, coded.new)
    return coded


def _refuse_nul(name: str, column: pl.Series) -> None:
    # Far quicker to search in one than one by one.
    if b"\0" in column.str.join("").cast(pl.Binary)[0]:
        raise DataError(f"lists: column {name} holds a NUL character; clean it where it is extracted")


def matrix(values: Numbers, rows: Ints) -> Numbers:
    """The values (m,) at ``rows``; all of them in order are only seen as a matrix."""
    return values.reshape(rows.shape) if rows.size == len(values) else values[rows]
