from itertools import pairwise

import numpy as np
import pytest

from recsys_tasks.recommend.shoppers import Habits
from tests.recommend.shop import bought, catalogue, context, lively, log, shoppers

ITEMS = catalogue("cup", "mat", "tea")
CUP, MAT, TEA = 0, 1, 2


def habits(*rows, of="ann"):
    return shoppers(context(log(*rows), ITEMS), of).own


def cadence_by_loops(ages):
    days = sorted({int(age) for age in ages})
    gaps = sorted(later - earlier for earlier, later in pairwise(days))
    return gaps[(len(gaps) - 1) // 2] if gaps else None


@pytest.mark.parametrize("seed", range(5))
def test_habits_are_those_of_plain_loops(seed):
    rng = np.random.default_rng(seed)
    ages = {item: (rng.random(rng.integers(1, 9)) * 60).tolist() for item in ("cup", "mat", "tea")}
    own = habits(*(row for item, days in ages.items() for row in bought("ann", item, *days)))
    for row, item in enumerate(("cup", "mat", "tea")):
        expected = cadence_by_loops(ages[item])
        assert own.days[row] == len({int(age) for age in ages[item]})
        assert own.last[row] == pytest.approx(min(ages[item]), abs=1e-4)
        assert own.first[row] == pytest.approx(max(ages[item]), abs=1e-4)
        assert (None if np.isnan(own.cadence[row]) else own.cadence[row]) == expected
        assert own.decayed(10)[row] == pytest.approx(sum(2 ** (-age / 10) for age in ages[item]), rel=1e-4)


def test_two_purchases_of_one_day_are_one_visit():
    own = habits(*bought("ann", "tea", 3.1, 3.8, 10.2))
    assert own.days.tolist() == [2]
    assert own.cadence.tolist() == [7]


def test_views_are_seen_but_no_purchase():
    some = shoppers(context(log(("ann", "tea", "view", 1.0), *bought("ann", "cup", 2)), ITEMS), "ann")
    assert some.own.key.tolist() == [CUP]
    assert some.seen.tolist() == [CUP, TEA]


def test_habits_of_groups_add_up_their_items():
    some = shoppers(context(log(*bought("ann", "cup", 1), *bought("ann", "tea", 5)), ITEMS), "ann")
    group = Habits.of(some, np.array([0, 1, 0]), 2)
    assert group.key.tolist() == [0]
    assert group.cadence.tolist() == [4]


def test_a_shopper_nobody_knows_has_nothing():
    some = shoppers(context(log(*bought("ann", "cup", 1)), ITEMS), "zoe", "ann")
    assert some.has_history.tolist() == [False, True]
    assert some.split(some.own.key)[0].tolist() == [1]


def test_history_is_what_models_read():
    rows = [("ann", "gone", "purchase", 1.0), ("bob", "tea", "impression", 1.0), ("cat", "tea", "view", 1.0)]
    some = shoppers(context(log(*rows), ITEMS), "ann", "bob", "cat")
    assert some.has_history.tolist() == [False, False, True]


def test_an_item_the_catalogue_lacks_is_passed_over():
    some = shoppers(context(log(*bought("ann", "gone", 1), *bought("ann", "mat", 1)), ITEMS), "ann")
    assert some.seen.tolist() == [MAT]


def test_a_batch_without_history_has_empty_tables():
    some = shoppers(lively(), "zoe")
    assert len(some.own.key) == 0
    assert len(some.own.decayed(10)) == 0
    assert not some.is_seen(np.array([0, 1])).any()
