"""What sold lately, in the order of the fallback ladder."""

import numpy as np

from recsys_tasks.recommend.batch import Batch
from recsys_tasks.recommend.log import Ints
from recsys_tasks.recommend.proposals import Proposals, rank_within
from recsys_tasks.recommend.shoppers import Shoppers, found

NAME = "popular"


def propose(batch: Batch, k: int, new_only: bool) -> Proposals:
    """The first ``k`` of the popularity order that the shopper may be shown."""
    return first(batch.shoppers, k, new_only)


def first(shoppers: Shoppers, k: int, new_only: bool) -> Proposals:
    """The same, for shoppers that no model looks at."""
    return along(shoppers.context.popularity.order, shoppers, k, new_only)


def along(order: Ints, shoppers: Shoppers, k: int, new_only: bool) -> Proposals:
    """The first ``k`` items of an order that each shopper may be shown."""
    wanted = np.full(len(shoppers.ids), k)
    return fill(shoppers, wanted, shoppers.seen if new_only else np.zeros(0, np.int64), order)


def fill(shoppers: Shoppers, wanted: Ints, refused: Ints, order: Ints | None = None) -> Proposals:
    """
    ``wanted[b]`` items for each shopper of the batch, none whose key is among the sorted ``refused``.

    The score is 1 / (1 + place in the order). Shoppers who are still short are asked again with twice the length,
    so that one long history does not make everybody's search long. ``order`` none: the popularity order.
    """
    order = shoppers.context.popularity.order if order is None else order
    places = np.empty(len(shoppers.context.allowed), np.int64)
    places[order] = np.arange(len(order))
    short, rows, width = np.flatnonzero(wanted > 0), [], int(wanted.max(initial=0)) + 20
    while len(short):
        width = min(width, len(order))
        shopper, item = np.repeat(short, width), np.tile(order[:width], len(short))
        free = ~found(refused, shoppers.key(shopper, item))[1]
        shopper, item = shopper[free], item[free]
        kept = rank_within(shopper) <= wanted[shopper]
        shopper, item = shopper[kept], item[kept]
        got = np.bincount(shopper, minlength=len(wanted))
        full = (got >= wanted) | (width == len(order))
        rows.append(np.stack([shopper[full[shopper]], item[full[shopper]]]))
        short, width = short[~full[short]], width * 2
    shopper, item = np.concatenate(rows, axis=1) if rows else np.zeros((2, 0), np.int64)
    by_shopper = np.argsort(shopper, kind="stable")
    shopper, item = shopper[by_shopper], item[by_shopper]
    score = 1.0 / (1.0 + places[item])
    return Proposals(shopper, item, score.astype(np.float32))
