"""What a model makes of one shop at one instant: computed once, shared by all shoppers."""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np

from recsys_tasks.index.index import ItemIndex
from recsys_tasks.model.one_blas_thread import ONE_BLAS_THREAD
from recsys_tasks.model.towers import TowerModel
from recsys_tasks.model.vectors import TextVectors
from recsys_tasks.recommend.context import Context
from recsys_tasks.recommend.log import Floats, Ints
from recsys_tasks.recommend.scorer import Scorer
from recsys_tasks.recommend.texts import Texts

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sight:
    """
    Towers, with the text vectors they were fitted with, looking at a context.

    ``ready`` is an index that holds exactly the allowed items at ``ready_as_of``; elsewhere one is built. ``scorer`` is
    the ranker's purchase classifier, where it has one.
    """

    context: Context
    towers: TowerModel
    vectors: TextVectors
    ready: ItemIndex | None = None
    ready_as_of: datetime | None = None
    scorer: Scorer | None = None

    def prepare(self) -> None:
        """Work out what every batch reads and is made of large matrix products."""
        with ONE_BLAS_THREAD, ThreadPoolExecutor(1) as beside:
            neighbours = beside.submit(lambda: self.context.neighbours)
            _ = self.items, self.texts.topic
            neighbours.result()

    @cached_property
    def texts(self) -> Texts:
        return Texts.of(self.context, self.vectors)

    @cached_property
    def text_code(self) -> tuple[list[str], Ints]:
        """The distinct texts of the catalogue, and (n,) the place of each item's among them."""
        texts, code = np.unique(self.context.snapshot.items["text"].to_numpy(), return_inverse=True)
        return texts.tolist(), code

    @cached_property
    def items(self) -> Floats:
        """(n, d + 1): item vectors with popularity as of the context; zeros for items that are not used."""
        snapshot = self.context.snapshot
        texts = self.texts
        ids = self.context.items.gather(texts.used)
        popularity = self.towers.popularity(snapshot.events, snapshot.as_of, ids, snapshot.items)
        matrix = np.zeros((len(self.context.items), self.towers.dim + 1), np.float32)
        matrix[texts.used] = self.towers.item_matrix(ids, texts.text, popularity)
        return matrix

    @cached_property
    def length(self) -> Floats:
        """(n,) the length of the learned item vectors, above zero."""
        norms: Floats = np.linalg.norm(self.items[:, : self.towers.width], axis=1)
        return np.maximum(norms, np.float32(1e-9))

    @cached_property
    def likeness(self) -> Floats:
        """(n, d) the learned item vectors at unit length."""
        unit: Floats = self.items[:, : self.towers.width] / self.length[:, None]
        return unit

    @cached_property
    def index(self) -> ItemIndex:
        """The ready index where it holds exactly the allowed items as of the context, else a fresh one."""
        if self.ready is None or self.ready_as_of != self.context.snapshot.as_of:
            return self.fresh_index()
        if not self.ready.item_ids.equals(self.context.items.gather(self.context.allowed_places)):
            log.warning("the night's index holds other items than the rules allow: building another")
            return self.fresh_index()
        return self.ready

    def fresh_index(self) -> ItemIndex:
        """An index over exactly the allowed items, with popularity as of the context."""
        places = self.context.allowed_places
        return ItemIndex.build(self.context.items.gather(places), self.items[places])
