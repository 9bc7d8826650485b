"""The candidates of a batch: what every source proposed, each item once, with where each source placed it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys_tasks.model.popularity import distinct
from recsys_tasks.recommend.batch import Batch
from recsys_tasks.recommend.candidates import (
    SOURCES,
    category,
    lasting,
    neighbours,
    new_items,
    popular,
    popular_28,
    repeat,
    retrieval,
    segment,
)
from recsys_tasks.recommend.log import Floats
from recsys_tasks.recommend.proposals import Proposals, rank_within
from recsys_tasks.recommend.shoppers import found
from recsys_tasks.settings import RankerSettings

PROPOSE: dict[str, Callable[[Batch, int, bool], Proposals]] = {
    module.NAME: module.propose
    for module in (repeat, retrieval, neighbours, new_items, category, segment, popular, popular_28, lasting)
}


@dataclass(frozen=True)
class Pool:
    """
    R candidates by shopper, then item.

    ``source`` (R,) is the place in SOURCES of the first source that proposed each; ``rank`` and ``score`` (R, sources)
    are where each source placed it, nan where it did not. ``new_only``: items the shopper knows are left out.
    """

    rows: Proposals
    source: NDArray[np.int8]
    rank: Floats
    score: Floats
    new_only: bool


def pool_of(batch: Batch, settings: RankerSettings, new_only: bool) -> Pool:
    """Every source's proposals for shoppers with history; the others are left to the ladder below."""
    proposed: dict[str, Proposals] = {
        name: PROPOSE[name](batch, _size(name, settings), new_only)
        for name in SOURCES
        if name in settings.sources
    }
    return _joined(batch, proposed, new_only)


def _size(name: str, settings: RankerSettings) -> int:
    return settings.history_items if name == repeat.NAME else settings.per_source


def _joined(batch: Batch, proposed: Mapping[str, Proposals], new_only: bool) -> Pool:
    shoppers = batch.shoppers
    keys = {name: shoppers.key(rows.shopper, rows.item) for name, rows in proposed.items()}
    union = distinct(np.concatenate([*keys.values(), np.zeros(0, np.int64)]))
    union = union[shoppers.has_history[shoppers.split(union)[0]]]
    shopper, item = shoppers.split(union)
    rank, score = (np.full((len(union), len(SOURCES)), np.nan, np.float32) for _ in range(2))
    for name, rows in proposed.items():
        place, known = found(union, keys[name])
        column = SOURCES.index(name)
        rank[place[known], column] = rank_within(rows.shopper)[known]
        score[place[known], column] = rows.score[known]
    first = np.argmax(~np.isnan(rank), axis=1).astype(np.int8)
    return Pool(Proposals(shopper, item, np.zeros(len(union), np.float32)), first, rank, score, new_only)
