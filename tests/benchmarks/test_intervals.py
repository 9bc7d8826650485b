import numpy as np
import polars as pl
import pytest

from benchmarks.intervals import Resampled
from recsys_tasks.evaluate.bootstrap import mean_interval, paired_interval


def users(n: int) -> pl.Series:
    return pl.Series([f"u{number:05}" for number in range(n)])


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_means_are_means_and_the_interval_is_that_of_one_column(rng):
    values = rng.random((400, 2))
    drawn = Resampled.of(users(400), values, 2000, 1)
    mean, low, high = mean_interval(values[:, 1], 2000, 2)
    found = drawn.mean(1)
    assert found.value == pytest.approx(mean)
    assert (found.low, found.high) == (pytest.approx(low, abs=0.004), pytest.approx(high, abs=0.004))


def test_a_difference_is_paired(rng):
    """Two columns that rise and fall together: their difference is known far better than either."""
    base = rng.random(300)
    drawn = Resampled.of(users(300), np.stack([base + 0.01, base], axis=1), 500, 1)
    lead = drawn.ahead(0, 1)
    assert (lead.value, lead.low, lead.high) == pytest.approx((0.01, 0.01, 0.01))
    assert drawn.mean(0).high - drawn.mean(0).low > 0.05


def test_it_agrees_with_the_gates_paired_interval(rng):
    values = rng.random((500, 2))
    lead = Resampled.of(users(500), values, 2000, 1).ahead(0, 1)
    _, low, high = paired_interval(values[:, 0], values[:, 1], 2000, 2)
    assert (lead.low, lead.high) == (pytest.approx(low, abs=0.005), pytest.approx(high, abs=0.005))


def test_copies_of_a_shopper_are_no_new_evidence(rng):
    """Four cuts with the same scores: the interval is that of one cut, not half of it."""
    values = rng.random((200, 1))
    once = Resampled.of(users(200), values, 2000, 1).mean(0)
    copied = Resampled.of(pl.concat([users(200)] * 4), np.tile(values, (4, 1)), 2000, 1).mean(0)
    assert copied.value == pytest.approx(once.value)
    assert copied.high - copied.low == pytest.approx(once.high - once.low, rel=0.1)


def test_an_interval_holds_the_truth_about_95_times_in_100(rng):
    truth, inside = 0.3, 0
    for trial in range(200):
        scores = (rng.random((150, 1)) < truth).astype(float)
        figure = Resampled.of(users(150), scores, 300, trial).mean(0)
        inside += figure.low <= truth <= figure.high
    assert 180 <= inside <= 199


def test_same_seed_same_interval_whatever_the_order_of_rows(rng):
    values, ids = rng.random((50, 1)), users(50)
    order = rng.permutation(50)
    a, b = Resampled.of(ids, values, 200, 3), Resampled.of(ids.gather(order), values[order], 200, 3)
    np.testing.assert_allclose(a.draws, b.draws)


def test_rows_without_an_owner_are_refused():
    with pytest.raises(ValueError, match="2 users for 3 rows"):
        Resampled.of(users(2), np.zeros((3, 1)), 10, 0)
