"""What the ranker knows of a (shopper, item): computed alike for training groups and for tonight's lists."""

from collections.abc import Iterator

import numpy as np

from recsys_tasks.recommend.log import Floats, Ints
from recsys_tasks.recommend.proposals import Proposals, rank_within
from recsys_tasks.recommend.shoppers import Habits, Shoppers

Column = tuple[str, Floats]
RHYTHM = ("last", "days", "cadence", "due", "mean_due")
# What the ranker reads, in order; another order or set is another ranker.
NAMES = (
    *("tower_likeness", "tower_popularity", "tower_score", "tower_rank"),
    *("own_15", "own_45", "own_120", "own_365", *(f"own_{name}" for name in RHYTHM)),
    *("category_90", "category_share", *(f"category_{name}" for name in RHYTHM)),
    *("brand_90", "brand_share", *(f"brand_{name}" for name in RHYTHM)),
    *("item_buyers_7", "item_buyers_28", "item_buyers_90", "item_trend", "item_returning"),
    *("item_age", "item_idle", "item_price", "item_category_buyers"),
    *("shopper_28", *(f"shopper_{name}" for name in RHYTHM)),
)
# Rows whose vectors are multiplied at a time.
CHUNK = 1 << 16


def features(rows: Proposals, shoppers: Shoppers, users: Floats, items: Floats) -> Floats:
    """
    A column for each of NAMES, (R, F), for rows ordered by shopper; nan where there is nothing to know.

    ``users`` (B, d + 1) and ``items`` (n, d + 1) are the towers' rows; the last dimension is popularity.
    """
    values = np.full((len(rows), len(NAMES)), np.nan, np.float32)
    place = {name: number for number, name in enumerate(NAMES)}
    for name, column in _columns(rows, shoppers, users, items):
        values[:, place[name]] = column
    return values


def _columns(rows: Proposals, shoppers: Shoppers, users: Floats, items: Floats) -> Iterator[Column]:
    yield from _tower(rows, users, items)
    yield from _own(rows, shoppers)
    yield from _group(rows, shoppers)
    yield from _item(rows, shoppers)
    yield from _shopper(rows, shoppers)


def _tower(rows: Proposals, users: Floats, items: Floats) -> Iterator[Column]:
    likeness = products(users[:, :-1], items[:, :-1], rows.shopper, rows.item)
    popularity = items[rows.item, -1]
    score = np.round(likeness + popularity, 5)
    order = np.lexsort((rows.item, -score, rows.shopper))
    rank = np.empty(len(rows), np.float32)
    rank[order] = rank_within(rows.shopper[order])
    yield "tower_likeness", likeness
    yield "tower_popularity", popularity
    yield "tower_score", score
    yield "tower_rank", rank


def products(users: Floats, items: Floats, shopper: Ints, item: Ints) -> Floats:
    """The inner product of each row's shopper and item, (R,); each by itself, whoever else is asked for."""
    result = np.empty(len(shopper), np.float32)
    for first in range(0, len(shopper), CHUNK):
        some = slice(first, first + CHUNK)
        np.einsum("rd,rd->r", users[shopper[some]], items[item[some]], out=result[some])
    return np.round(result, 5)


def _own(rows: Proposals, shoppers: Shoppers) -> Iterator[Column]:
    habits = shoppers.own
    place, known = habits.find(rows.shopper, rows.item)
    for half_life in (15.0, 45.0, 120.0, 365.0):
        yield f"own_{half_life:g}", _picked(habits.decayed(half_life), place, known, 0.0)
    yield from _rhythm("own", habits, place, known)


def _rhythm(name: str, habits: Habits, place: Ints, known: np.ndarray) -> Iterator[Column]:
    last = _picked(habits.last, place, known, np.nan)
    cadence = _picked(habits.cadence, place, known, np.nan)
    days = _picked(habits.days, place, known, 0.0)
    first = _picked(habits.first, place, known, np.nan)
    yield f"{name}_last", last
    yield f"{name}_days", days
    yield f"{name}_cadence", cadence
    # 1: due today by the median gap; and the same by the mean gap, which few days tell better.
    yield f"{name}_due", last / cadence
    yield f"{name}_mean_due", last * days / (first + 1.0)


def _group(rows: Proposals, shoppers: Shoppers) -> Iterator[Column]:
    facts = shoppers.context.facts
    for name, code, groups in (
        ("category", facts.category, facts.categories),
        ("brand", facts.brand, facts.brands),
    ):
        habits = Habits.of(shoppers, code, groups)
        weights = habits.decayed(90.0)
        total = np.bincount(habits.key // groups, weights=weights, minlength=len(shoppers.ids))
        place, known = habits.find(rows.shopper, code[rows.item])
        weight = _picked(weights, place, known, 0.0)
        yield f"{name}_90", weight
        yield f"{name}_share", (weight / np.maximum(total, 1e-6)[rows.shopper]).astype(np.float32)
        yield from _rhythm(name, habits, place, known)


def _item(rows: Proposals, shoppers: Shoppers) -> Iterator[Column]:
    facts = shoppers.context.facts
    for name in NAMES:
        if name.startswith("item_"):
            yield name, getattr(facts, name.removeprefix("item_"))[rows.item]


def _shopper(rows: Proposals, shoppers: Shoppers) -> Iterator[Column]:
    """How much and how regularly the shopper buys at all; the same in all rows of a shopper."""
    habits = Habits.of(shoppers, np.zeros(len(shoppers.context.allowed), np.int64), 1)
    place, known = habits.find(rows.shopper, np.zeros(len(rows), np.int64))
    yield "shopper_28", _picked(habits.decayed(28.0), place, known, 0.0)
    yield from _rhythm("shopper", habits, place, known)


def _picked(column: Floats, place: Ints, known: np.ndarray, otherwise: float) -> Floats:
    if not len(column):
        return np.full(len(place), otherwise, np.float32)
    return np.where(known, column[place], np.float32(otherwise))
