"""How well an item fits the shopper by the towers, by its text, and by what others took together."""

from collections.abc import Iterator

import numpy as np

from recsys_tasks.recommend.batch import Batch
from recsys_tasks.recommend.features.column import Column, likeness, picked, products
from recsys_tasks.recommend.log import Floats
from recsys_tasks.recommend.pool import Pool
from recsys_tasks.recommend.proposals import Proposals, rank_within

NAMES = (
    *("tower_likeness", "tower_popularity", "tower_score", "tower_rank", "tower_nearest"),
    *("text_taste", "text_nearest"),
    *("neighbours_long", "neighbours_recent", "neighbours_long_rank", "neighbours_recent_rank"),
)


def columns(pool: Pool, batch: Batch) -> Iterator[Column]:
    """See NAMES."""
    yield from _tower(pool, batch)
    yield from _text(pool.rows, batch)
    yield from _neighbours(pool.rows, batch)


def tower_scores(pool: Pool, batch: Batch) -> Floats:
    """(R,) the towers' score."""
    rows = pool.rows
    return products(batch.asking(pool.new_only), batch.sight.items, rows.shopper, rows.item)


def _tower(pool: Pool, batch: Batch) -> Iterator[Column]:
    rows, sight, (own_shopper, own) = pool.rows, batch.sight, batch.newest
    # An own item is compared by what was learned of it alone: a unit vector, with nothing in the other columns.
    width = sight.likeness.shape[1]
    learned = np.zeros((len(own), sight.items.shape[1] - 1), np.float32)
    learned[:, :width] = sight.likeness[own]
    to_user, to_own = likeness(
        sight.items[:, :-1], rows.item, rows.shopper, batch.users[:, :-1], learned, own_shopper
    )
    popularity = sight.items[rows.item, -1]
    score = np.round(to_user + popularity * batch.asking(pool.new_only)[rows.shopper, -1], 5)
    yield "tower_likeness", to_user
    yield "tower_popularity", popularity
    yield "tower_score", score
    yield "tower_rank", _ranks(rows, score)
    yield "tower_nearest", np.round(to_own / sight.length[rows.item], 5)


def _text(rows: Proposals, batch: Batch) -> Iterator[Column]:
    texts, (own_shopper, own) = batch.sight.texts, batch.newest
    text, row, offered = texts.text, texts.row, texts.sides.offered
    to_taste, to_own = likeness(text, row[rows.item], rows.shopper, batch.taste, text[row[own]], own_shopper)
    if offered is not text:
        # A history asks and an item is offered; the nearest own item is a likeness of two items, and stays one.
        to_taste = products(batch.query, offered, rows.shopper, row[rows.item])
    yield "text_taste", to_taste
    yield "text_nearest", to_own


def _neighbours(rows: Proposals, batch: Batch) -> Iterator[Column]:
    column = batch.sight.context.neighbour_column[rows.item]
    known = column >= 0
    for name, scores in (
        ("neighbours_long", batch.shoppers.neighbour_scores),
        ("neighbours_recent", batch.shoppers.recent_neighbour_scores),
    ):
        score = picked(scores.ravel(), rows.shopper * scores.shape[1] + column * known, known, np.nan)
        yield name, score
        yield f"{name}_rank", _ranks(rows, np.nan_to_num(score, nan=-1.0))


def _ranks(rows: Proposals, score: Floats) -> Floats:
    order = np.lexsort((rows.item, -score, rows.shopper))
    rank = np.empty(len(rows), np.float32)
    rank[order] = rank_within(rows.shopper[order])
    return rank
