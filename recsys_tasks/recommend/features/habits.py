"""What the shopper did with the item, its category and its brand before, and how regularly the shopper buys at all."""

from collections.abc import Iterator

import numpy as np

from recsys_tasks.recommend.batch import Batch
from recsys_tasks.recommend.features.column import Column, picked
from recsys_tasks.recommend.log import Bools, Ints
from recsys_tasks.recommend.pool import Pool
from recsys_tasks.recommend.proposals import Proposals
from recsys_tasks.recommend.shoppers import Habits

RHYTHM = ("last", "days", "cadence", "due", "mean_due")
NAMES = (
    *("own_15", "own_45", "own_120", "own_365", *(f"own_{name}" for name in RHYTHM)),
    *("category_90", "category_share", *(f"category_{name}" for name in RHYTHM)),
    *("brand_90", "brand_share", *(f"brand_{name}" for name in RHYTHM)),
    *("shopper_28", *(f"shopper_{name}" for name in RHYTHM)),
)


def columns(pool: Pool, batch: Batch) -> Iterator[Column]:
    """See NAMES."""
    rows = pool.rows
    yield from _own(rows, batch.shoppers.own)
    yield from _group("category", rows, batch.group_habits, batch.sight.texts.group)
    facts = batch.sight.context.facts
    yield from _group("brand", rows, Habits.of(batch.shoppers, facts.brand, facts.brands), facts.brand)
    yield from _shopper(rows, batch)


def _own(rows: Proposals, habits: Habits) -> Iterator[Column]:
    place, known = habits.find(rows.shopper, rows.item)
    for half_life in (15.0, 45.0, 120.0, 365.0):
        yield f"own_{half_life:g}", picked(habits.decayed(half_life), place, known, 0.0)
    yield from _rhythm("own", habits, place, known)


def _rhythm(name: str, habits: Habits, place: Ints, known: Bools) -> Iterator[Column]:
    last = picked(habits.last, place, known, np.nan)
    cadence = picked(habits.cadence, place, known, np.nan)
    days = picked(habits.days, place, known, 0.0)
    first = picked(habits.first, place, known, np.nan)
    yield f"{name}_last", last
    yield f"{name}_days", days
    yield f"{name}_cadence", cadence
    # 1: due today by the median gap; and the same by the mean gap, which few days tell better.
    yield f"{name}_due", last / cadence
    yield f"{name}_mean_due", last * days / (first + 1.0)


def _group(name: str, rows: Proposals, habits: Habits, code: Ints) -> Iterator[Column]:
    weights = habits.decayed(90.0)
    total = np.bincount(
        habits.key // habits.groups, weights=weights, minlength=int(rows.shopper.max(initial=-1)) + 1
    )
    place, known = habits.find(rows.shopper, code[rows.item])
    weight = picked(weights, place, known, 0.0)
    yield f"{name}_90", weight
    yield f"{name}_share", (weight / np.maximum(total, 1e-6)[rows.shopper]).astype(np.float32)
    yield from _rhythm(name, habits, place, known)


def _shopper(rows: Proposals, batch: Batch) -> Iterator[Column]:
    """The same in all rows of a shopper."""
    habits = Habits.of(batch.shoppers, np.zeros(len(batch.sight.context.allowed), np.int64), 1)
    place, known = habits.find(rows.shopper, np.zeros(len(rows), np.int64))
    yield "shopper_28", picked(habits.decayed(28.0), place, known, 0.0)
    yield from _rhythm("shopper", habits, place, known)
