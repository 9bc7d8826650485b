import numpy as np
import pytest

from recsys_tasks.model.popularity import popularity_matrix
from recsys_tasks.recommend.popularity import buyers_within
from tests.recommend.shop import NIGHT_END, TARGETS, bought, catalogue, context, lively, log

SECOND = 1 / 86_400


@pytest.mark.parametrize("days", [3, 7, 28])
def test_lists_and_towers_count_the_same_buyers(days):
    of = lively()
    matrix = popularity_matrix(of.snapshot.events, NIGHT_END, of.items, [days], TARGETS)
    counted = buyers_within(of.log, days, len(of.items))
    assert counted.tolist() == np.expm1(matrix[:, 0]).round().tolist()
    assert counted.any()


def test_a_window_holds_its_first_instant_and_nothing_older():
    # A microsecond is less than single precision can tell at this age.
    rows = (*bought("ann", "in", 7), *bought("ann", "out", 7 + SECOND / 1000), *bought("ann", "new", 1))
    of = context(log(*rows), catalogue("in", "new", "out"))
    assert buyers_within(of.log, 7, 3).tolist() == [1, 1, 0]
    assert popularity_matrix(of.snapshot.events, NIGHT_END, of.items, [7]).astype(bool)[:, 0].tolist() == [
        1,
        1,
        0,
    ]


def test_buyers_ever_are_all_of_them():
    of = context(log(*bought("ann", "tea", 900), *bought("bob", "tea", 1)), catalogue("tea"))
    assert buyers_within(of.log, float("inf"), 1).tolist() == [2]
