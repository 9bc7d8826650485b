"""
Item-kNN: cosine likeness with shrinkage, each item's nearest neighbours only.

likeness(i, j) = users of both / (sqrt(users of i * users of j) + shrink), as in Sarwar et al. (2001) with the
damping of Bell and Koren (2007). A user's score of an item is the sum over the user's items that have it among
their ``neighbours`` nearest. The 12,000 items with most distinct users are kept, 6,000 while choosing.
"""

from typing import ClassVar

import numpy as np
from scipy import sparse

from benchmarks.peers.base import Log
from benchmarks.peers.choose import Learn, Settings
from benchmarks.peers.coded import Coded
from benchmarks.peers.ease import BLOCK, MAX_ITEMS, MAX_ITEMS_TRYING, ItemToItem, gram
from benchmarks.peers.lists import Opinion, best
from benchmarks.peers.tuned import Tuned


def knn_weights(
    taste: sparse.csr_matrix, neighbours: int, shrink: float, block: int = BLOCK
) -> sparse.csr_matrix:
    """(m, m) sparse likeness: row = item of the history, its nearest ``neighbours`` other items kept."""
    together = gram(taste)
    norm = np.sqrt(np.diagonal(together)).copy()
    parts = []
    for start in range(0, len(together), block):
        likeness = together[start : start + block]
        likeness /= norm[start : start + block, None] * norm[None, :] + np.float32(shrink) + np.float32(1e-9)
        likeness[np.arange(len(likeness)), np.arange(start, start + len(likeness))] = 0
        likeness[likeness == 0] = -np.inf
        row, column = best(likeness, neighbours)
        parts.append(sparse.csr_matrix((likeness[row, column], (row, column)), shape=likeness.shape))
    return sparse.vstack(parts, format="csr", dtype=np.float32)


class ItemKnn(Tuned):
    """Neighbours by users in common. Items without a common user have score 0: popularity fills there."""

    name: ClassVar[str] = "item-knn"

    def grid(self, log: Log) -> list[Settings]:
        return [
            {"neighbours": neighbours, "shrink": shrink}
            for neighbours in (50, 300)
            for shrink in (10.0, 100.0)
        ]

    def learner(self, log: Log, trying: bool) -> Learn:
        coded = Coded.of(log.learned(), MAX_ITEMS_TRYING if trying else MAX_ITEMS)
        everyone = coded.read(log)
        taste, tastes = coded.matrix(), everyone.matrix()

        def learn(settings: Settings) -> Opinion:
            weights = knn_weights(taste, settings["neighbours"], settings["shrink"])
            return ItemToItem(everyone.users, everyone.items, tastes, weights, zero_is_nothing=True)

        return learn
