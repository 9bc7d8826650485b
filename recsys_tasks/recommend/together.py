"""How much shoppers' histories speak for items, by who touched both."""

import numpy as np
from scipy.sparse import csr_matrix

from recsys_tasks.recommend.context import Context
from recsys_tasks.recommend.log import Floats, Ints


def speaks_for(context: Context, events: tuple[Ints, Ints], shoppers: int, half_life: float | None) -> Floats:
    """
    (shoppers, m) a score for each item of ``context.neighbours``.

    ``events``: (place of the shopper, row of the log). A (shopper, item) counts with its strongest event, halved for
    every ``half_life`` days of age.
    """
    log, (places, rows) = context.log, events
    column = context.neighbour_column[log.item[rows]]
    places, rows, column = places[column >= 0], rows[column >= 0], column[column >= 0]
    strength = log.weight[rows] / max(context.weights.values(), default=1.0)
    if half_life is not None:
        strength = strength * np.exp2(-log.age[rows] / half_life)
    key, strength = _strongest(places * max(context.neighbour_count, 1) + column, strength)
    shape = (shoppers, context.neighbour_count)
    histories = csr_matrix((strength, np.divmod(key, max(shape[1], 1))), shape)
    return np.round(context.neighbours.scores(histories), 6)


def _strongest(key: Ints, strength: Floats) -> tuple[Ints, Floats]:
    """The largest strength of each key."""
    order = np.lexsort((-strength, key))
    key, strength = key[order], strength[order]
    first = np.flatnonzero(np.diff(key, prepend=-1))
    return key[first], strength[first].astype(np.float32)
