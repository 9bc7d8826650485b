"""What a shopper did with an item, and when: the log's answers to the time audit."""

from typing import Literal

import numpy as np
import polars as pl

from recsys_tasks.pairs.coding import CodedLog, micros_of
from recsys_tasks.pairs.keys import Bools, Ints
from recsys_tasks.pairs.touched import Touched


def own_items(negatives: pl.DataFrame, log: CodedLog) -> pl.DataFrame:
    """The negatives their shopper has an event with."""
    user, item = log.codes(negatives["user_id"], negatives["negative_id"])
    known = np.flatnonzero((user >= 0) & (item >= 0))
    if len(known) == 0:
        return negatives.clear()
    touched = Touched(*log.touches(), len(log.items))
    return negatives[known[touched.contains(user[known], item[known])]]


class Timeline:
    """
    Per shopper and item, the times of the events, in one sorted array.

    A mark is (place of the shopper and item) * (number of times) + (place of the time), so that both "the first
    event" and "the next event from T on" are one binary search each.
    """

    def __init__(self, log: CodedLog) -> None:
        self._log = log
        self._times = np.unique(log.rows["at"].to_numpy())
        user, item = log.touches()
        self._keys, place = np.unique(user * len(log.items) + item, return_inverse=True)
        self._marks = np.unique(
            place * len(self._times) + np.searchsorted(self._times, log.rows["at"].to_numpy())
        )

    def contradictions(self, targets: pl.DataFrame) -> tuple[Bools, Bools]:
        """
        Which targets did not happen from ``history_until`` to ``positives_until`` (one the log lacks did not), and
        of which ``is_new`` contradicts the first event of their shopper and item.
        """
        place, known = self._places(targets)
        row = place * len(self._times)
        until = self._events_before(row + self._first_from(targets["positives_until"], side="right"))
        cut = self._events_before(row + self._first_from(targets["history_until"], side="left"))
        happened = known & (cut < until)
        in_history = known & (self._events_before(row) < cut)
        return ~happened, in_history == targets["is_new"].to_numpy()

    def _events_before(self, marks: Ints) -> Ints:
        return np.searchsorted(self._marks, marks)

    def _places(self, targets: pl.DataFrame) -> tuple[Ints, Bools]:
        """The place of each target's shopper and item, and whether the log knows it."""
        user, item = self._log.codes(targets["user_id"], targets["item_id"])
        if len(self._keys) == 0:
            return np.zeros(len(user), dtype=np.int64), np.zeros(len(user), dtype=bool)
        key = user * len(self._log.items) + item
        place = np.minimum(np.searchsorted(self._keys, key), len(self._keys) - 1)
        return place, (user >= 0) & (item >= 0) & (self._keys[place] == key)

    def _first_from(self, moments: pl.Series, *, side: Literal["left", "right"]) -> Ints:
        """The place of the first time at (left) or behind (right) each moment; few distinct ones are asked."""
        distinct, of_row = np.unique(micros_of(moments), return_inverse=True)
        place: Ints = np.searchsorted(self._times, distinct, side=side)[of_row]
        return place
