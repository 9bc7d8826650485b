"""Which items a shopper has touched, asked a million times."""

import numpy as np
import numpy.typing as npt

from recsys_tasks.pairs.keys import (
    Bools,
    Ints,
    Keys,
    Layout,
    Numbers,
    chunks,
    first_of_run,
    offsets,
    ordered,
    width,
)

SLOTS_PER_ITEM = 16
# Slots that are laid out at a time, before they are packed into bits.
SLOTS = 1 << 22
GOLDEN = np.uint32(0x9E3779B1)


class Touched:
    """
    The set of (user, item) codes of a log.

    Each user has a stretch of bits of her own, sixteen and more an item, and an item's hash tells its place there.
    Questions come by user, so the stretch lies in the cache. Almost every question ends at a bit that is not set;
    the hits are looked up in the sorted keys, so the answer is exact.
    """

    def __init__(self, users: Numbers, items: Numbers, n_items: int) -> None:
        most = int(users.max(initial=0))
        self._layout = Layout((width(most), width(n_items)))
        self._keys = _distinct(self._layout, users, items)
        counts = np.bincount(self._layout.part(self._keys, 0).astype(np.int64), minlength=most + 1)
        self.starts = offsets(counts)
        # Never more than 31: the hash has 32 bits, and a shift by all of them is none.
        power = np.clip(np.ceil(np.log2(np.maximum(counts * SLOTS_PER_ITEM, 8))), 3, 31).astype(np.int64)
        self._shift = (32 - power).astype(np.uint32)
        self._begins = offsets((1 << power) // 8)
        self._bits = self._filled(counts)

    @property
    def items(self) -> Numbers:
        """The distinct items of user after user, each user's between two ``starts``."""
        return self._layout.part(self._keys, 1).astype(np.uint32)

    def contains(self, users: Numbers, items: Numbers) -> Bools:
        """Per row, whether the user has touched the item."""
        found = np.zeros(len(users), dtype=bool)
        for some in chunks(len(users)):
            found[some] = self._contains(users[some], items[some])
        return found

    def _contains(self, users: Numbers, items: Numbers) -> Bools:
        known = np.minimum(users, len(self._shift) - 1)
        slot = _hash(items, self._shift[known])
        byte = self._bits[self._begins[known] + (slot >> np.uint32(3))]
        found: Bools = ((byte >> (slot & np.uint32(7)).astype(np.uint8)) & np.uint8(1)).astype(bool)
        maybe = np.flatnonzero(found)
        keys = self._layout.pack(users[maybe], items[maybe])
        at = np.searchsorted(self._keys, keys)
        found[maybe] = self._keys[np.minimum(at, len(self._keys) - 1)] == keys
        return found

    def _filled(self, counts: Ints) -> npt.NDArray[np.uint8]:
        bits = np.empty(int(self._begins[-1]), dtype=np.uint8)
        first = 0
        while first < len(counts):
            last = np.searchsorted(self._begins, self._begins[first] + SLOTS // 8, side="right") - 1
            last = max(first + 1, int(last))
            keys = self._keys[self.starts[first] : self.starts[last]]
            user = self._layout.part(keys, 0).astype(np.int64)
            slot = _hash(self._layout.part(keys, 1), self._shift[user])
            slots = np.zeros(int(self._begins[last] - self._begins[first]) * 8, dtype=bool)
            slots[(self._begins[user] - self._begins[first]) * 8 + slot] = True
            bits[self._begins[first] : self._begins[last]] = np.packbits(slots, bitorder="little")
            first = last
        return bits


def _distinct(layout: Layout, users: Numbers, items: Numbers) -> Keys:
    """The keys of all rows, each once, in order."""
    keys = ordered(layout.pack(users, items))
    return keys[first_of_run(keys)]


def _hash(items: Numbers, shift: Numbers) -> npt.NDArray[np.uint32]:
    """The highest bits of the product: all of the item's bits tell."""
    slot: npt.NDArray[np.uint32] = (items.astype(np.uint32, copy=False) * GOLDEN) >> shift
    return slot
