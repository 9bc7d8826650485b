"""The night's own model: candidates of every source, one pool, ordered by the ranker (or by the towers alone)."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from recsys_tasks.index.index import ItemIndex
from recsys_tasks.model.towers import TowerModel
from recsys_tasks.model.vectors import TextVectors
from recsys_tasks.recommend.batch import Batch
from recsys_tasks.recommend.context import Context
from recsys_tasks.recommend.features import features
from recsys_tasks.recommend.features.likeness import tower_scores
from recsys_tasks.recommend.log import Floats
from recsys_tasks.recommend.model import Ranked
from recsys_tasks.recommend.pool import Pool, pool_of
from recsys_tasks.recommend.proposals import best
from recsys_tasks.recommend.ranker import Ranker
from recsys_tasks.recommend.scorer import Scorer
from recsys_tasks.recommend.shoppers import Shoppers, found
from recsys_tasks.recommend.sight import Sight
from recsys_tasks.settings import RankerSettings


@dataclass(frozen=True)
class NightModel:
    """Towers with the text vectors they were fitted with; ``ranker`` none: the towers' score orders."""

    ref: str
    towers: TowerModel
    vectors: TextVectors
    ranker: Ranker | None
    settings: RankerSettings
    index: ItemIndex | None = None
    """Used at ``index_as_of``, where it holds exactly the allowed items; else an index is built."""
    index_as_of: datetime | None = None
    scorer: Scorer | None = None
    """The purchase classifier that the ranker was fitted with, if it was."""

    def at(self, context: Context) -> "OpenedNight":
        sight = Sight(context, self.towers, self.vectors, self.index, self.index_as_of, self.scorer)
        return OpenedNight(self, sight)


@dataclass(frozen=True)
class OpenedNight:
    """The model looking at one context."""

    model: NightModel
    sight: Sight

    @cached_property
    def likeness(self) -> Floats:
        return self.sight.likeness

    def prepare(self) -> None:
        self.sight.prepare()

    def rank(self, shoppers: Shoppers, *, new_only: bool, limit: int) -> Ranked:
        batch = Batch.of(shoppers, self.sight)
        pool = pool_of(batch, self.model.settings, new_only)
        score = self._scores(pool, batch)
        rows = best(pool.rows.shopper, pool.rows.item, score, limit)
        keys = shoppers.key(pool.rows.shopper, pool.rows.item)
        place = found(keys, shoppers.key(rows.shopper, rows.item))[0]
        return Ranked(rows, pool.source[place])

    def _scores(self, pool: Pool, batch: Batch) -> Floats:
        ranker = self.model.ranker
        learned = None
        if ranker is not None and len(pool.rows):
            learned = ranker.scores(features(pool, batch), pool.new_only)
        return tower_scores(pool, batch) if learned is None else learned
