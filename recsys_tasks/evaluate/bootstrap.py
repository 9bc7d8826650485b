"""Intervals by resampling shoppers: the shopper is what repeats, not the list row."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Resamples drawn at a time: memory stays flat in the number of resamples.
CHUNK = 50


class Interval(NamedTuple):
    """A mean difference and the ends of its 95 % interval."""

    difference: float
    low: float
    high: float


def paired_interval(a: ArrayLike, b: ArrayLike, resamples: int = 1000, seed: int = 0) -> Interval:
    """
    How much better ``a`` is than ``b`` on average, with a 95 % percentile bootstrap interval.

    Both hold one score a shopper, in the same order (n,). No shoppers: all three are 0, which decides nothing.
    Raises ValueError where the lengths differ.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"paired scores need one shape (n,), got {first.shape} and {second.shape}")
    return mean_interval(first - second, resamples, seed)


def mean_interval(values: ArrayLike, resamples: int = 1000, seed: int = 0) -> Interval:
    """The mean of one score a shopper and its 95 % percentile bootstrap interval."""
    scores = np.asarray(values, dtype=np.float64)
    if scores.size == 0:
        return Interval(0.0, 0.0, 0.0)
    low, high = np.quantile(_resampled_means(scores, resamples, seed), [0.025, 0.975])
    return Interval(float(scores.mean()), float(low), float(high))


def _resampled_means(scores: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    means = []
    for first in range(0, resamples, CHUNK):
        rows = min(CHUNK, resamples - first)
        drawn = rng.integers(0, len(scores), size=(rows, len(scores)), dtype=np.int32)
        means.append(scores[drawn].mean(axis=1))
    return np.concatenate(means)
