"""The towers' best items for each shopper: contrastive retrieval over the item index."""

import numpy as np

from recsys_tasks.recommend.batch import Batch
from recsys_tasks.recommend.log import Ints
from recsys_tasks.recommend.proposals import Proposals, joined, nothing, rank_within

NAME = "retrieval"
# Shoppers are searched together with others whose seen lists are about as long.
SEEN_STEPS = (0, 50, 200, 800)


def propose(batch: Batch, k: int, new_only: bool) -> Proposals:
    """
    The ``k`` best items of each shopper with history.

    With ``new_only`` the search goes deeper by as many items as the shopper has seen, then leaves those out.
    """
    shoppers = batch.shoppers
    if not len(batch.sight.index):
        return nothing()
    seen = np.bincount(shoppers.split(shoppers.seen)[0], minlength=len(shoppers.ids)) * new_only
    parts = []
    for low, high in zip((-1, *SEEN_STEPS), (*SEEN_STEPS, np.inf), strict=True):
        some = np.flatnonzero(shoppers.has_history & (seen > low) & (seen <= high))
        if len(some):
            parts.append(_search(batch, some, k, int(seen[some].max()), new_only))
    return joined(parts)


def _search(batch: Batch, some: Ints, k: int, extra: int, new_only: bool) -> Proposals:
    scores, found = batch.sight.index.search(batch.asking(new_only)[some], k + extra)
    places = batch.sight.context.allowed_places
    rows = Proposals(np.repeat(some, scores.shape[1]), places[found.ravel()], scores.ravel())
    if new_only:
        rows = rows.take(~batch.shoppers.is_seen(batch.shoppers.key(rows.shopper, rows.item)))
    return rows.take(rank_within(rows.shopper) <= k)
