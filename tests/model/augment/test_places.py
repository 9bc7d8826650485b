import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_tasks.model.augment.places import crop, drop, hidden, reorder, share_of

COUNTS = st.integers(1, 40)
SHARES = st.floats(0, 1)
SEEDS = st.integers(0, 2**32 - 1)


def rng(seed=0):
    return np.random.default_rng(seed)


@given(COUNTS, SHARES, SEEDS)
def test_a_crop_is_a_run_of_the_length_that_the_paper_gives(count, share, seed):
    kept = crop(count, share, rng(seed))
    assert kept.tolist() == list(range(kept[0], kept[0] + len(kept)))
    assert kept[0] >= 0
    assert kept[-1] < count
    assert len(kept) == pytest.approx(max(1, (1 - share) * count), abs=1 + 1e-6)


@given(COUNTS, SHARES, SEEDS)
def test_what_is_dropped_leaves_the_order_alone_and_never_nothing(count, share, seed):
    kept = drop(count, share, rng(seed))
    assert 1 <= len(kept) <= count
    assert (np.diff(kept) > 0).all()
    assert set(kept) <= set(range(count))


@given(COUNTS, SHARES, SEEDS)
def test_reordering_loses_and_doubles_nothing_and_moves_one_run_only(count, share, seed):
    length = share_of(count, share)
    places = reorder(count, length, rng(seed))
    assert sorted(places) == list(range(count))
    moved = np.flatnonzero(places != np.arange(count))
    assert len(moved) == 0 or moved[-1] - moved[0] < length


@given(COUNTS, SHARES, SEEDS)
def test_hiding_hides_the_share_and_never_everything(count, share, seed):
    mask = hidden(count, share, rng(seed))
    assert mask.sum() == min(share_of(count, share), count - 1)
    assert not mask.all()


@given(COUNTS, SEEDS)
def test_no_strength_changes_nothing(count, seed):
    everything = list(range(count))
    assert crop(count, 0.0, rng(seed)).tolist() == everything
    assert drop(count, 0.0, rng(seed)).tolist() == everything
    assert reorder(count, 0, rng(seed)).tolist() == everything
    assert not hidden(count, 0.0, rng(seed)).any()


@pytest.mark.parametrize(
    ("count", "share", "floor"),
    [(10, 0.3, 3), (10, 0.7, 7), (10, 0.29, 2), (7, 0.5, 3), (3, 1, 3), (100, 0.29, 29)],
)
def test_a_share_of_a_count_is_rounded_down_but_not_by_a_binary_fraction(count, share, floor):
    assert share_of(count, share) == floor
    assert len(crop(count, share, rng())) == max(1, share_of(count, 1 - share))


def test_each_start_of_a_crop_is_alike():
    starts = np.bincount([crop(5, 0.4, rng(seed))[0] for seed in range(3000)], minlength=3)
    np.testing.assert_allclose(starts / 3000, 1 / 3, atol=0.03)


def test_a_dropped_place_goes_with_its_chance():
    kept = np.concatenate([drop(10, 0.3, rng(seed)) for seed in range(2000)])
    np.testing.assert_allclose(np.bincount(kept, minlength=10) / 2000, 0.7, atol=0.04)


def test_nothing_of_nothing_is_nothing():
    for places in (crop(0, 0.5, rng()), drop(0, 0.5, rng()), reorder(0, 0, rng()), hidden(0, 0.5, rng())):
        assert len(places) == 0
