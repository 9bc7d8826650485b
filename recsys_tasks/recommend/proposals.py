"""Items proposed for shoppers: what candidate sources give and models return."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recsys_tasks.recommend.log import Bools, Floats, Ints


@dataclass(frozen=True)
class Proposals:
    """Rows of (place of the shopper in the batch, position of the item, score): three arrays of one length."""

    shopper: Ints
    item: Ints
    score: Floats

    def __len__(self) -> int:
        return len(self.item)

    def take(self, rows: Ints | Bools) -> "Proposals":
        return Proposals(self.shopper[rows], self.item[rows], self.score[rows])


def best(shopper: Ints, item: Ints, score: Floats, k: int) -> Proposals:
    """The ``k`` best of each shopper: by score, ties by item_id."""
    order = np.lexsort((item, -score, shopper))
    rows = Proposals(shopper[order], item[order], score[order].astype(np.float32))
    return rows.take(rank_within(rows.shopper) <= k)


def rank_within(group: Ints) -> Ints:
    """1, 2, 3, ... within each run of equal numbers."""
    if not len(group):
        return np.zeros(0, np.int64)
    begins = np.flatnonzero(np.diff(group, prepend=group[0] - 1))
    return np.arange(len(group)) - np.repeat(begins, np.diff(np.append(begins, len(group)))) + 1


def nothing() -> Proposals:
    return Proposals(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))


def joined(parts: Sequence[Proposals]) -> Proposals:
    """Rows of different shoppers, by shopper; a shopper's rows keep their order."""
    parts = [nothing(), *parts]
    shopper = np.concatenate([part.shopper for part in parts])
    order = np.argsort(shopper, kind="stable")
    item = np.concatenate([part.item for part in parts])
    score = np.concatenate([part.score for part in parts])
    return Proposals(shopper[order], item[order], score[order])
