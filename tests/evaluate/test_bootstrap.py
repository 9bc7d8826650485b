import numpy as np
import pytest

from recsys_tasks.evaluate.bootstrap import CHUNK, mean_interval, paired_interval


def test_interval_is_that_of_plain_resampling():
    scores = np.random.default_rng(3).normal(size=40)
    rng = np.random.default_rng(7)
    means = [scores[row].mean() for row in rng.integers(0, 40, size=(CHUNK, 40), dtype=np.int32)]
    found = mean_interval(scores, resamples=CHUNK, seed=7)
    assert found == pytest.approx((scores.mean(), *np.quantile(means, [0.025, 0.975])))


def test_width_is_that_of_the_normal_law():
    scores = np.random.default_rng(1).normal(loc=2.0, size=2000)
    _, low, high = mean_interval(scores, resamples=1000, seed=1)
    assert high - low == pytest.approx(2 * 1.96 / np.sqrt(2000), rel=0.1)


def test_pairing_takes_the_shoppers_own_level_out():
    level = np.random.default_rng(1).normal(scale=50.0, size=300)
    assert paired_interval(level + 1, level) == pytest.approx((1.0, 1.0, 1.0))


def test_two_runs_agree_and_sides_mirror():
    rng = np.random.default_rng(5)
    a, b = rng.random(50), rng.random(50)
    difference, low, high = paired_interval(a, b, 500, seed=2)
    assert paired_interval(a, b, 500, seed=2) == (difference, low, high)
    assert paired_interval(b, a, 500, seed=2) == pytest.approx((-difference, -high, -low))


def test_no_shoppers_decide_nothing():
    assert paired_interval([], []) == (0.0, 0.0, 0.0)


def test_scores_of_different_shoppers_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        paired_interval([1.0, 2.0], [1.0])
