import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_tasks.model.augment.histories import view_of_history
from recsys_tasks.settings.augment import HistoryPolicy

STEPS = st.fixed_dictionaries(
    {
        "operation": st.sampled_from(["crop", "mask", "reorder"]),
        "probability": st.floats(0, 1),
        "strength": st.floats(0, 1),
    }
)
POLICIES = st.lists(st.lists(STEPS, max_size=4), min_size=1, max_size=3).map(
    lambda s: HistoryPolicy(sub_policies=s)
)


def only(operation, strength):
    return HistoryPolicy(sub_policies=[[{"operation": operation, "strength": strength}]])


@given(st.lists(st.integers(0, 9), min_size=1, max_size=20), POLICIES, st.integers(0, 2**32 - 1))
def test_a_view_tells_some_of_the_history_and_nothing_else(items, policy, seed):
    items = np.array(items)
    view = view_of_history(items, policy, np.random.default_rng(seed))
    assert len(view.items) == len(view.masked)
    assert (~view.masked).any()
    left = list(items)
    for item in view.items:
        left.remove(item)


@given(POLICIES, st.integers(0, 2**32 - 1))
def test_the_same_seed_makes_the_same_view(policy, seed):
    views = [view_of_history(np.arange(12), policy, np.random.default_rng(seed)) for _ in range(2)]
    assert views[0].items.tolist() == views[1].items.tolist()
    assert views[0].masked.tolist() == views[1].masked.tolist()


@pytest.mark.parametrize(
    ("operation", "length", "masked"), [("crop", 6, 0), ("mask", 10, 4), ("reorder", 10, 0)]
)
def test_the_strength_is_the_share_that_changes(operation, length, masked):
    view = view_of_history(np.arange(10), only(operation, 0.4), np.random.default_rng(3))
    assert (len(view.items), view.masked.sum()) == (length, masked)


def test_a_reordered_run_is_the_only_thing_out_of_order():
    view = view_of_history(np.arange(10), only("reorder", 0.4), np.random.default_rng(3))
    moved = np.flatnonzero(view.items != np.arange(10))
    assert 2 <= len(moved) <= 4
    assert np.ptp(moved) < 4


@pytest.mark.parametrize("second", ["mask", "crop"])
def test_two_operations_together_do_not_hide_everything_either(second):
    """Two items, one of them masked: a second mask, or a crop to one item, may hit the wrong one."""
    steps = [{"operation": "mask", "strength": 0.5}, {"operation": second, "strength": 0.5}]
    policy = HistoryPolicy(sub_policies=[steps])
    for seed in range(30):
        assert not view_of_history(np.arange(2), policy, np.random.default_rng(seed)).masked.all()


def test_an_empty_history_has_an_empty_view():
    assert len(view_of_history(np.zeros(0, np.int64), HistoryPolicy(), np.random.default_rng(0)).items) == 0


def test_an_untouched_history_is_not_written_to():
    items = np.arange(10)
    view_of_history(items, only("reorder", 1.0), np.random.default_rng(0))
    assert items.tolist() == list(range(10))
