"""
From a model to finished lists: the one way, for tonight's lists and for every row of the gate's table.

Rules filter first (Context), the model ranks, the ladder guarantees k, every row gets its reason.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from recsys_tasks.recommend.candidates import SOURCES
from recsys_tasks.recommend.context import Context
from recsys_tasks.recommend.fallback import guarantee
from recsys_tasks.recommend.model import Model, Opened, Ranked
from recsys_tasks.recommend.proposals import rank_within
from recsys_tasks.recommend.reasons import reasons
from recsys_tasks.recommend.shoppers import Shoppers
from recsys_tasks.schema import Recommendations

# Shoppers served at a time: memory is flat in their number.
BATCH = 2500


@dataclass(frozen=True)
class Recommender:
    """A model looking at one context; lists for any number of shoppers."""

    model: Model
    context: Context

    @cached_property
    def opened(self) -> Opened:
        return self.model.at(self.context)

    def lists(
        self, users: pl.Series, top_k: int, *, new_only: bool = False, explain: bool = True
    ) -> pl.DataFrame:
        """
        The lists of all ``users`` at once, with the Recommendations contract.

        ``new_only`` leaves out what the shopper has any event with. ``explain`` false: without the reasons, which
        nobody reads where lists are only scored.
        """
        parts = list(self.batches(users, top_k, new_only=new_only, explain=explain))
        return pl.concat(parts) if parts else Recommendations.create_empty()

    def batches(
        self, users: pl.Series, top_k: int, *, new_only: bool = False, explain: bool = True
    ) -> Iterator[pl.DataFrame]:
        """The same lists, BATCH shoppers a frame; shoppers in the order of their ids."""
        ids = users.unique().sort()
        for first in range(0, len(ids), BATCH):
            shoppers = Shoppers(self.context, ids.slice(first, BATCH))
            ranked = self._ranked(shoppers, top_k, new_only)
            rows = self._rows(ranked, shoppers)
            yield self._explained(rows, ranked, shoppers) if explain else rows

    def _ranked(self, shoppers: Shoppers, top_k: int, new_only: bool) -> Ranked:
        own = self.opened.rank(shoppers, new_only=new_only, limit=top_k)
        return guarantee(own, shoppers, top_k, new_only)

    def _rows(self, ranked: Ranked, shoppers: Shoppers) -> pl.DataFrame:
        rows = ranked.rows
        return pl.DataFrame(
            {
                "user_id": shoppers.ids.gather(rows.shopper),
                "rank": pl.Series(rank_within(rows.shopper), dtype=pl.Int32),
                "item_id": self.context.items.gather(rows.item),
                "score": pl.Series(rows.score, dtype=pl.Float32),
                "source": pl.Series(np.array(SOURCES)[ranked.source], dtype=pl.String),
            }
        )

    def _explained(self, rows: pl.DataFrame, ranked: Ranked, shoppers: Shoppers) -> pl.DataFrame:
        words = reasons(ranked, shoppers, self.opened.likeness)
        return rows.with_columns(reason=pl.Series(words, dtype=pl.String))


def counts_by_source(lists: pl.DataFrame) -> Counter[str]:
    """Rows of each source."""
    return Counter(dict(lists.group_by("source").len().sort("source").iter_rows()))
