"""What sells, the same for all: the plain rows of a table of logs without times."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from benchmarks.peers.base import Log
from benchmarks.peers.coded import Floats, Ints, popularity
from benchmarks.peers.lists import Lists


@dataclass(frozen=True)
class SameForAll:
    """One score an item, whoever asks."""

    users: pl.Series
    items: pl.Series
    score: Floats

    def scores(self, rows: Ints) -> Floats:
        """(B, n)."""
        return np.broadcast_to(self.score, (len(rows), len(self.score))).copy()


@dataclass
class Popular:
    """
    Distinct users of an item, over the whole log, its last ``days`` or the last ``share`` of its rows.

    Ties, and items without a user, in the order of the fill (overall count, then item_id).
    """

    days: float | None = None
    share: float | None = None
    chosen: dict[str, Any] = field(default_factory=dict)

    @property
    def reads(self) -> bool:
        """All shoppers get the same."""
        return True

    @property
    def name(self) -> str:
        """popular, popular-28-days, popular-last-10%."""
        if self.days is not None:
            return f"popular-{self.days:g}-days"
        return "popular" if self.share is None else f"popular-last-{self.share:.0%}"

    def fit(self, log: Log) -> None:
        """Count."""
        count = popularity(log, log.items_offered, self.days, self.share).astype(np.float32)
        score = np.where(count > 0, count, -np.inf).astype(np.float32)
        self._lists = Lists(log)
        self._opinion = SameForAll(self._lists.users, log.items_offered, score)

    def top(self, users: pl.Series, k: int, new_only: bool) -> pl.DataFrame:
        """See ``Peer.top``."""
        return self._lists.top(users, k, new_only, self._opinion)
