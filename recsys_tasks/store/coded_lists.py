"""Lists as both databases keep them: four bytes a place for the item, its score, its source and its reason."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys_tasks.store.shards import Shard, matrix
from recsys_tasks.store.texts import Texts

COLUMNS = ("items", "scores", "sources", "reasons")
SCORE = np.dtype(">f4")


@dataclass(frozen=True)
class CodedLists:
    """The lists of ``users`` (n,), all of one length: ``columns`` by name (COLUMNS), each (n, length)."""

    users: pl.Series
    columns: dict[str, NDArray[Any]]

    @property
    def length(self) -> int:
        return int(self.columns["items"].shape[1])


def coded_lists(shard: Shard, words: Texts) -> Iterator[CodedLists]:
    """The lists of each length of a shard, whose sources and reasons are ``words``."""
    columns = {
        "items": shard.items.texts.codes(shard.items),
        "scores": shard.frame["score"].to_numpy().astype(SCORE),
        "sources": words.codes(shard.sources),
        "reasons": words.codes(shard.reasons),
    }
    for rows in shard.by_length():
        users = shard.frame["user_id"].gather(rows[:, 0])
        yield CodedLists(users, {name: matrix(column, rows) for name, column in columns.items()})
