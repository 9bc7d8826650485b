"""One shard of lists, checked and in order: what is counted, and what is written."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys_tasks.errors import DataError, SchemaMismatch
from recsys_tasks.schema import Recommendations

TEXTS = ("user_id", "item_id", "source", "reason")
ORDER = ("user_id", "rank", "item_id")

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Shard:
    """
    The lists of n shoppers: m rows by user_id, then rank.

    ``starts`` (n,): the first row of each list; ``lengths`` (n,): its rows.
    """

    frame: pl.DataFrame
    starts: Ints
    lengths: Ints

    @classmethod
    def of(cls, frame: pl.DataFrame) -> "Shard":
        """
        From rows of the Recommendations contract, in any order.

        Raises SchemaMismatch (a column is missing or null) or DataError (NUL, which PostgreSQL cannot store).
        """
        frame = _contract(frame)
        starts = _starts(frame)
        if not _in_order(frame, starts):
            frame = frame.sort(ORDER)
            starts = _starts(frame)
        return cls(frame, starts, np.diff(starts, append=len(frame)))

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def user_ids(self) -> list[str]:
        """(n,) whose lists these are."""
        return self.frame["user_id"].gather(self.starts).to_list()


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
    for name in TEXTS:
        if frame[name].str.contains("\0", literal=True).any():
            raise DataError(f"lists: column {name} holds a NUL character; clean it where it is extracted")
    return frame
