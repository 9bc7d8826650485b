"""Which items a shopper has touched, asked a million times."""

import numpy as np
import numpy.typing as npt

from recsys_tasks.pairs.coding import Ints, mix

Bools = npt.NDArray[np.bool_]


class Touched:
    """
    The set of (user, item) codes of a log.

    Almost every question ends at a hashed table of single bytes that fits the cache; only its hits are looked up
    in the sorted keys, so the answer is exact.
    """

    def __init__(self, users: Ints, items: Ints, n_items: int) -> None:
        self._n_items = n_items
        self._keys = np.unique(users * n_items + items)
        bits = min(26, max(10, int(np.ceil(np.log2(len(self._keys) + 1))) + 4))
        self._mask = np.uint64(2**bits - 1)
        self._table = np.zeros(2**bits, dtype=bool)
        self._table[mix(self._keys) & self._mask] = True

    def contains(self, users: Ints, items: Ints) -> Bools:
        """Per row, whether the user has touched the item."""
        keys = users * self._n_items + items
        found: Bools = self._table[mix(keys) & self._mask]
        maybe = np.flatnonzero(found)
        at = np.searchsorted(self._keys, keys[maybe])
        found[maybe] = self._keys[np.minimum(at, len(self._keys) - 1)] == keys[maybe]
        return found
