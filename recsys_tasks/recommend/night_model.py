"""The night's own model: candidates of every source, one pool, ordered by the ranker (or by the towers alone)."""

import logging
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
import polars as pl

from recsys_tasks.index.index import ItemIndex
from recsys_tasks.model.popularity import distinct, popularity_matrix
from recsys_tasks.model.towers import TowerModel
from recsys_tasks.model.vectors import TextVectors
from recsys_tasks.recommend.candidates import SOURCES, popular, repeat, retrieval
from recsys_tasks.recommend.candidates.retrieval import Retrieval
from recsys_tasks.recommend.context import Context
from recsys_tasks.recommend.features import features, products
from recsys_tasks.recommend.log import Floats, Ints
from recsys_tasks.recommend.model import Ranked
from recsys_tasks.recommend.proposals import Proposals, best
from recsys_tasks.recommend.ranker import Ranker
from recsys_tasks.recommend.shoppers import Shoppers, found
from recsys_tasks.settings import RankerSettings

log = logging.getLogger(__name__)

USER_BLOCK = 256


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

    def at(self, context: Context) -> "OpenedNight":
        return OpenedNight(self, context)


@dataclass(frozen=True)
class Pool:
    """The union of all sources' candidates, by shopper, then item; which sources proposed each row."""

    rows: Proposals
    source: np.ndarray


@dataclass(frozen=True)
class OpenedNight:
    """The model looking at one context."""

    model: NightModel
    context: Context

    @cached_property
    def used(self) -> Ints:
        """Positions of the items that can be shown or stand in a history; the others need no vector."""
        touched = self.context.log.item
        used = self.context.allowed.copy()
        used[touched[touched >= 0]] = True
        return np.flatnonzero(used)

    @cached_property
    def text(self) -> Floats:
        """(used, T)"""
        return self.model.vectors.of(self.context.items.gather(self.used))

    @cached_property
    def items(self) -> Floats:
        """(n, d + 1): item vectors with popularity as of the context; zeros for items that are not used."""
        snapshot, facts = self.context.snapshot, self.model.towers.facts
        ids = self.context.items.gather(self.used)
        popularity = popularity_matrix(
            snapshot.events, snapshot.as_of, ids, facts.popularity_days, facts.event_weights
        )
        matrix = np.zeros((len(self.context.items), self.model.towers.dim + 1), np.float32)
        matrix[self.used] = self.model.towers.item_matrix(ids, self.text, popularity)
        return matrix

    @cached_property
    def likeness(self) -> Floats:
        vectors = self.items[:, :-1]
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: Floats = vectors / np.maximum(norms, 1e-9)
        return unit

    @cached_property
    def retrieval(self) -> Retrieval:
        places, given = self.context.allowed_places, self.model.index
        if given is None or self.model.index_as_of != self.context.snapshot.as_of:
            return Retrieval(self.fresh_index(), places)
        if not given.item_ids.equals(self.context.items.gather(places)):
            log.warning(
                "the index of %s holds other items than the rules allow: building another", self.model.ref
            )
            return Retrieval(self.fresh_index(), places)
        return Retrieval(given, places)

    def fresh_index(self) -> ItemIndex:
        """An index over exactly the allowed items, with popularity as of the context."""
        places = self.context.allowed_places
        return ItemIndex.build(self.context.items.gather(places), self.items[places])

    def users(self, shoppers: Shoppers) -> Floats:
        """(B, d + 1) rows of the user tower."""
        snapshot, ids = self.context.snapshot, shoppers.ids
        # Whole blocks: the last digit of a matrix product depends on the number of rows.
        nobody = pl.Series([f"\0{number}" for number in range(-len(ids) % USER_BLOCK)], dtype=pl.String)
        rows = self.model.towers.user_matrix(
            pl.concat([ids, nobody]),
            snapshot.events,
            snapshot.as_of,
            self.context.items.gather(self.used),
            self.text,
        )
        return rows[: len(ids)]

    def pool(self, shoppers: Shoppers, users: Floats, new_only: bool) -> Pool:
        """Every source's proposals for shoppers with history; the others are left to the ladder below."""
        settings = self.model.settings
        proposed = {
            repeat.NAME: repeat.propose(shoppers, settings.history_items, new_only),
            retrieval.NAME: self.retrieval.propose(shoppers, users, settings.per_source, new_only),
            popular.NAME: popular.propose(shoppers, settings.per_source, new_only),
        }
        keys = {name: np.sort(shoppers.key(rows.shopper, rows.item)) for name, rows in proposed.items()}
        union = distinct(np.concatenate(list(keys.values())))
        shopper, item = shoppers.split(union)
        union, shopper, item = (part[shoppers.has_history[shopper]] for part in (union, shopper, item))
        source = np.full(len(union), len(SOURCES), np.int8)
        for number in reversed(range(len(SOURCES))):
            source[found(keys[SOURCES[number]], union)[1]] = number
        return Pool(Proposals(shopper, item, np.zeros(len(union), np.float32)), source)

    def rank(self, shoppers: Shoppers, *, new_only: bool, limit: int) -> Ranked:
        users = self.users(shoppers)
        pool = self.pool(shoppers, users, new_only)
        score = self._scores(pool.rows, shoppers, users, new_only)
        rows = best(pool.rows.shopper, pool.rows.item, score, limit)
        place = found(shoppers.key(pool.rows.shopper, pool.rows.item), shoppers.key(rows.shopper, rows.item))[
            0
        ]
        return Ranked(rows, pool.source[place])

    def _scores(self, rows: Proposals, shoppers: Shoppers, users: Floats, new_only: bool) -> Floats:
        ranker = self.model.ranker
        learned = None
        if ranker is not None and len(rows):
            learned = ranker.scores(features(rows, shoppers, users, self.items), new_only)
        if learned is not None:
            return learned
        return products(users, self.items, rows.shopper, rows.item)
