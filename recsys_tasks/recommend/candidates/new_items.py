"""What came lately and reads like what the shopper took: launches have no counts to be found by."""

import numpy as np

from recsys_tasks.recommend.batch import Batch
from recsys_tasks.recommend.dense import best_columns, products_of
from recsys_tasks.recommend.log import Ints
from recsys_tasks.recommend.proposals import Proposals, joined, nothing
from recsys_tasks.recommend.sight import Sight

NAME = "new_items"
# An item counts as a launch for this long.
LAUNCH_DAYS = 28.0
# The newest of them, so that a night after a large import costs no more than another.
MOST = 4000


def propose(batch: Batch, k: int, new_only: bool) -> Proposals:
    """
    The ``k`` launches whose texts are most like the shopper's own; only those with a likeness above zero.

    Zero is about what the catalogue has on average: text vectors are whitened, and other similarities centred.
    """
    texts = batch.sight.texts
    places = launches(batch.sight)
    if not len(places):
        return nothing()
    text = np.ascontiguousarray(texts.sides.offered[texts.row[places]].T)
    parts = []
    for first, scores in products_of(batch.query, text):
        if new_only:
            scores[_seen(batch, places, first, len(scores))] = 0
        parts.append(best_columns(scores, k, first))
    rows = joined(parts)
    return Proposals(rows.shopper, places[rows.item], rows.score)


def launches(sight: Sight) -> Ints:
    """Positions, ascending, of allowed items that came within LAUNCH_DAYS."""
    context = sight.context
    age = context.facts.launched
    fresh = np.flatnonzero(context.allowed & (age <= LAUNCH_DAYS))
    newest = np.lexsort((fresh, age[fresh]))[:MOST]
    return np.sort(fresh[newest])


def _seen(batch: Batch, places: Ints, first: int, size: int) -> np.ndarray:
    shopper, column = np.divmod(np.arange(size * len(places)), len(places))
    return batch.shoppers.is_seen(batch.shoppers.key(shopper + first, places[column])).reshape(size, -1)
