"""Some shoppers as one model sees them: what sources and features share of a batch, each computed once."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.sparse import csr_matrix

from recsys_tasks.recommend.lazy import Lazy
from recsys_tasks.recommend.log import Floats, Ints
from recsys_tasks.recommend.proposals import rank_within
from recsys_tasks.recommend.shoppers import Habits, Shoppers
from recsys_tasks.recommend.sight import Sight

USER_BLOCK = 256
# Days in which an event loses half its say in what a shopper likes to read about.
TASTE_HALF_LIFE = 60.0
# Newest distinct items that a candidate's text is compared with one by one.
NEWEST = 8


@dataclass(frozen=True)
class Batch:
    """B shoppers and a sight."""

    shoppers: Shoppers
    sight: Sight

    @classmethod
    def of(cls, shoppers: Shoppers, sight: Sight) -> "Batch":
        """The one batch of these shoppers and this sight: lists with repeats and without share what it knows."""
        return shoppers.views.of(sight, lambda: cls(shoppers, sight))

    @Lazy
    def users(self) -> Floats:
        """(B, d + 1) rows of the user tower."""
        context, ids = self.sight.context, self.shoppers.ids
        # Whole blocks: the last digit of a matrix product depends on the number of rows.
        nobody = pl.Series([f"\0{number}" for number in range(-len(ids) % USER_BLOCK)], dtype=pl.String)
        rows = self.sight.towers.user_matrix(
            pl.concat([ids, nobody]),
            context.snapshot.events,
            context.snapshot.as_of,
            context.items.gather(self.sight.texts.used),
            self.sight.texts.text,
        )
        return rows[: len(ids)]

    def asking(self, new_only: bool) -> Floats:
        """(B, d + 1) ``users`` as they meet item rows: among items new to them, popularity has another weight."""
        if not new_only:
            return self.users
        rows = self.users.copy()
        rows[:, -1] *= np.float32(self.sight.towers.facts.new_popularity)
        return rows

    @Lazy
    def taste(self) -> Floats:
        """(B, T) the decayed mean of the text vectors of what each shopper touched, at unit length."""
        return self._decayed(self.sight.texts.text)

    @Lazy
    def query(self) -> Floats:
        """(B, k) the same mean of what those texts ask with: it meets ``sight.texts.sides.offered``."""
        texts = self.sight.texts
        return self.taste if texts.sides.asked is texts.text else self._decayed(texts.sides.asked)

    def _decayed(self, vectors: Floats) -> Floats:
        log, texts, (places, rows) = self.sight.context.log, self.sight.texts, self.shoppers.usable
        weight = log.weight[rows] * np.exp2(-log.age[rows] / TASTE_HALF_LIFE)
        columns = texts.row[log.item[rows]]
        shape = (len(self.shoppers.ids), len(texts.used))
        mean = csr_matrix((weight.astype(np.float32), (places, columns)), shape) @ vectors
        unit: Floats = mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
        return unit.astype(np.float32)

    @Lazy
    def newest(self) -> tuple[Ints, Ints]:
        """(place, item) of each shopper's NEWEST distinct items, by place, newest first."""
        log, (places, rows) = self.sight.context.log, self.shoppers.usable
        # Rows stand oldest first: the last one of a (shopper, item) is its newest.
        key = self.shoppers.key(places, log.item[rows])[::-1]
        first = np.sort(np.unique(key, return_index=True)[1])
        place, item = places[::-1][first][::-1], log.item[rows][::-1][first][::-1]
        order = np.lexsort((-np.arange(len(place)), place))
        place, item = place[order], item[order]
        kept = rank_within(place) <= NEWEST
        return place[kept], item[kept]

    @Lazy
    def group_habits(self) -> Habits:
        """The shoppers' purchases by category (by topic in a shop without categories)."""
        return Habits.of(self.shoppers, self.sight.texts.group, self.sight.texts.groups)
