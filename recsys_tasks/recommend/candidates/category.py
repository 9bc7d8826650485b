"""What sells in the categories that the shopper takes from, those first that are due again."""

import numpy as np

from recsys_tasks.recommend.batch import Batch
from recsys_tasks.recommend.log import Floats, Ints
from recsys_tasks.recommend.proposals import Proposals, best
from recsys_tasks.recommend.shoppers import Habits

NAME = "category"
# Days in which a purchase loses half its say in how much a shopper takes of a category.
HALF_LIFE = 90.0
# Categories of a shopper that are looked at, and the most popular items of each.
CATEGORIES = 20
ITEMS = 60
# A category that was bought from just now counts this much of one that is due.
NOT_DUE = 0.3


def propose(batch: Batch, k: int, new_only: bool) -> Proposals:
    """The ``k`` items with the largest (need of the category) x (share of the category's buyers)."""
    shoppers, shelves = batch.shoppers, batch.sight.texts.shelves
    habits = batch.group_habits
    shopper, group = np.divmod(habits.key, habits.groups)
    wanted = best(shopper, group, needs(habits), CATEGORIES)
    row, place = _spread(np.minimum(np.diff(shelves.start)[wanted.item], ITEMS))
    at = shelves.start[wanted.item[row]] + place
    shopper, item = wanted.shopper[row], shelves.items[at]
    score = np.round(wanted.score[row] * shelves.share[at], 6)
    if new_only:
        free = ~shoppers.is_seen(shoppers.key(shopper, item))
        shopper, item, score = shopper[free], item[free], score[free]
    return best(shopper, item, score, k)


def needs(habits: Habits) -> Floats:
    """How much each (shopper, category) is wanted now: how much is taken of it, times how near the next time is."""
    due = habits.last / np.fmax(habits.cadence, 1.0)
    # Bought once only: no cadence, neither due nor not.
    due = np.where(np.isnan(due), 0.65, np.clip(due, NOT_DUE, 1.0))
    return np.round(habits.decayed(HALF_LIFE) * due, 5).astype(np.float32)


def _spread(lengths: Ints) -> tuple[Ints, Ints]:
    """(row, 0, 1, ... length - 1) for each row."""
    row = np.repeat(np.arange(len(lengths)), lengths)
    return row, np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
