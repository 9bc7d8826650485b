"""The towers' best items for each shopper: contrastive retrieval over the item index."""

from dataclasses import dataclass

import numpy as np

from recsys_tasks.index.index import ItemIndex
from recsys_tasks.recommend.log import Floats, Ints
from recsys_tasks.recommend.proposals import Proposals, nothing, rank_within
from recsys_tasks.recommend.shoppers import Shoppers

NAME = "retrieval"
# Shoppers are searched together with others whose seen lists are about as long.
SEEN_STEPS = (0, 50, 200, 800)


@dataclass(frozen=True)
class Retrieval:
    """``index`` holds the allowed items; ``places`` (n allowed,) their positions in the catalogue."""

    index: ItemIndex
    places: Ints

    def propose(self, shoppers: Shoppers, vectors: Floats, k: int, new_only: bool) -> Proposals:
        """
        The ``k`` best items of each shopper with history; ``vectors`` (B, d) are their rows of the user tower.

        With ``new_only`` the search goes deeper by as many items as the shopper has seen, then leaves those out.
        """
        if not len(self.index):
            return nothing()
        seen = np.bincount(shoppers.split(shoppers.seen)[0], minlength=len(shoppers.ids)) * new_only
        parts = []
        for low, high in zip((-1, *SEEN_STEPS), (*SEEN_STEPS, np.inf), strict=True):
            some = np.flatnonzero(shoppers.has_history & (seen > low) & (seen <= high))
            if len(some):
                parts.append(self._search(shoppers, vectors, some, k, int(seen[some].max()), new_only))
        return _joined(parts)

    def _search(
        self, shoppers: Shoppers, vectors: Floats, some: Ints, k: int, extra: int, new_only: bool
    ) -> Proposals:
        scores, found = self.index.search(vectors[some], k + extra)
        shopper = np.repeat(some, scores.shape[1])
        rows = Proposals(shopper, self.places[found.ravel()], scores.ravel())
        if new_only:
            rows = rows.take(~shoppers.is_seen(shoppers.key(rows.shopper, rows.item)))
        return rows.take(rank_within(rows.shopper) <= k)


def _joined(parts: list[Proposals]) -> Proposals:
    if not parts:
        return nothing()
    shopper = np.concatenate([part.shopper for part in parts])
    order = np.argsort(shopper, kind="stable")
    item = np.concatenate([part.item for part in parts])
    score = np.concatenate([part.score for part in parts])
    return Proposals(shopper[order], item[order], score[order])
