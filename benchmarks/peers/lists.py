"""From scores to lists: what may be offered, ties, and the fill where a peer has no opinion."""

from typing import Protocol

import numpy as np
import polars as pl
from scipy import sparse

from benchmarks.peers.base import LISTS, Log
from benchmarks.peers.coded import Floats, Ints, popularity, positions

BLOCK = 512
FILL_DAYS = 28


class Opinion(Protocol):
    """What a fitted peer thinks: a score for every (user, item) it knows."""

    @property
    def users(self) -> pl.Series:
        """Sorted ids of whom it knows."""

    @property
    def items(self) -> pl.Series:
        """Sorted ids of what it knows."""

    def scores(self, rows: Ints) -> Floats:
        """(B, m) scores of ``items`` for the users at ``rows`` of ``users``; -inf is no opinion."""


class Lists:
    """Makes lists of a log's offered items from opinions, in blocks of users."""

    def __init__(self, log: Log) -> None:
        """Remember who has seen what and how popular it is; lists need nothing else of the log."""
        self.offered = log.items_offered
        self.users = log.users.unique().sort()
        user, item = positions(log.users, self.users), positions(log.items, self.offered)
        there = item >= 0
        shape = (len(self.users), len(self.offered))
        self.seen = sparse.csr_matrix((np.ones(there.sum(), bool), (user[there], item[there])), shape=shape)
        recent = popularity(log, self.offered, days=FILL_DAYS)
        overall = popularity(log, self.offered)
        # The most popular first; a stable sort leaves ties in the order of item_id.
        self.fill = np.lexsort((np.arange(len(self.offered)), -overall, -recent))

    def top(self, users: pl.Series, k: int, new_only: bool, opinion: Opinion | None) -> pl.DataFrame:
        """``LISTS`` of the users, in the order asked; see ``Peer.top``."""
        blocks = [
            self._block(users.slice(start, BLOCK), k, new_only, opinion)
            for start in range(0, len(users), BLOCK)
        ]
        return pl.concat(blocks) if blocks else pl.DataFrame(schema=LISTS)

    def _block(self, users: pl.Series, k: int, new_only: bool, opinion: Opinion | None) -> pl.DataFrame:
        seen = self._seen(users) if new_only else np.zeros((len(users), len(self.offered)), bool)
        scores = self._scores(users, opinion)
        scores[seen] = -np.inf
        row, item = best(scores, k)
        fill_row, fill_item = self._fill(seen, row, item, k)
        score = pl.Series(np.concatenate([scores[row, item], np.full(len(fill_row), np.nan, np.float32)]))
        # Filled rows stand behind a user's own ones: a stable sort by user alone keeps that.
        rows = np.concatenate([row, fill_row])
        order = np.argsort(rows, kind="stable")
        frame = pl.DataFrame(
            {
                "user_id": users.gather(rows[order]),
                "item_id": self.offered.gather(np.concatenate([item, fill_item])[order]),
                "score": score.gather(order).fill_nan(None),
                "row": rows[order],
            }
        )
        rank = pl.int_range(1, pl.len() + 1).over("row").cast(pl.Int32)
        return frame.select("user_id", rank.alias("rank"), "item_id", "score").cast(LISTS)  # type: ignore[arg-type]

    def _seen(self, users: pl.Series) -> np.ndarray:
        place = positions(users, self.users)
        seen = np.zeros((len(users), len(self.offered)), bool)
        known = place >= 0
        seen[known] = self.seen[place[known]].toarray()
        return seen

    def _scores(self, users: pl.Series, opinion: Opinion | None) -> Floats:
        """(B, n) over the offered items; a user or an item that the peer does not know has -inf."""
        scores = np.full((len(users), len(self.offered)), -np.inf, np.float32)
        if opinion is None:
            return scores
        place, column = positions(users, opinion.users), positions(opinion.items, self.offered)
        known = np.flatnonzero(place >= 0)
        kept = column >= 0
        if len(known):
            scores[np.ix_(known, column[kept])] = opinion.scores(place[known])[:, kept]
        return scores

    def _fill(self, seen: np.ndarray, row: Ints, item: Ints, k: int) -> tuple[Ints, Ints]:
        missing = k - np.bincount(row, minlength=len(seen))
        short = np.flatnonzero(missing)
        taken = seen.copy()
        taken[row, item] = True
        free = ~taken[short][:, self.fill]
        keep = free & (np.cumsum(free, axis=1, dtype=np.int32) <= missing[short, None])
        place, column = np.nonzero(keep)
        return short[place], self.fill[column]


def best(scores: Floats, k: int) -> tuple[Ints, Ints]:
    """(row, column) of the k largest finite scores of each row, best first; ties go to the lower column."""
    k = min(k, scores.shape[1])
    if k == 0 or not len(scores):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    least = np.partition(scores, scores.shape[1] - k, axis=1)[:, -k, None]
    keep = (scores >= least) & np.isfinite(scores)
    tied = np.flatnonzero(keep.sum(axis=1) > k)
    level = scores[tied] == least[tied]
    room = k - (scores[tied] > least[tied]).sum(axis=1, keepdims=True)
    keep[tied] &= ~level | (np.cumsum(level, axis=1, dtype=np.int32) <= room)
    row, column = np.nonzero(keep)
    order = np.lexsort((column, -scores[row, column], row))
    return row[order], column[order]
