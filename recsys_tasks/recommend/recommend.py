"""
From a model to finished lists: the one way, for tonight's lists and for every row of the gate's table.

Rules filter first (Context), the model ranks, the ladder guarantees k, every row gets its reason.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from recsys_tasks.recommend.batches import batches_of, forgetful, in_order
from recsys_tasks.recommend.candidates import SOURCES
from recsys_tasks.recommend.context import Context
from recsys_tasks.recommend.fallback import guarantee
from recsys_tasks.recommend.model import Model, Opened, Ranked
from recsys_tasks.recommend.proposals import rank_within
from recsys_tasks.recommend.reasons import reasons
from recsys_tasks.recommend.shoppers import Shoppers
from recsys_tasks.schema import Recommendations

# The name of who made lists, and whether they leave out what the shopper knows.
Lists = tuple[str, bool]


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
        """The same lists, a batch of shoppers a frame; shoppers in the order of their ids."""
        self.opened.prepare()

        def lists_of(shoppers: Shoppers) -> pl.DataFrame:
            return self.serve(shoppers, top_k, new_only=new_only, explain=explain)

        return in_order(forgetful(lists_of), batches_of(self.context, users))

    def serve(self, shoppers: Shoppers, top_k: int, *, new_only: bool, explain: bool) -> pl.DataFrame:
        """The lists of one batch."""
        ranked = self._ranked(shoppers, top_k, new_only)
        rows = self._rows(ranked, shoppers)
        return self._explained(rows, ranked, shoppers) if explain else rows

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


def side_by_side(
    makers: Mapping[str, Recommender], users: pl.Series, top_k: int
) -> dict[Lists, pl.DataFrame]:
    """
    Every maker's lists, by (name, new_only), without reasons; all look at one context.

    Batch by batch: what is known of the shoppers is worked out once for all makers.
    """
    context = next(iter(makers.values())).context
    assert all(maker.context is context for maker in makers.values()), (
        "models are compared on one look at a shop"
    )
    for maker in makers.values():
        maker.opened.prepare()
    asked = [(name, new_only) for name in makers for new_only in (False, True)]

    def all_of(shoppers: Shoppers) -> list[pl.DataFrame]:
        return [
            makers[name].serve(shoppers, top_k, new_only=new_only, explain=False) for name, new_only in asked
        ]

    parts = list(in_order(forgetful(all_of), batches_of(context, users)))
    return {
        key: pl.concat([part[place] for part in parts]) if parts else Recommendations.create_empty()
        for place, key in enumerate(asked)
    }


def counts_by_source(lists: pl.DataFrame) -> Counter[str]:
    """Rows of each source."""
    return Counter(dict(lists.group_by("source").len().sort("source").iter_rows()))
