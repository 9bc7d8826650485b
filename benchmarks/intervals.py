"""
95 % intervals by resampling shoppers, all systems at once.

One draw of shoppers serves every column, so the difference of two columns of a draw is a paired difference. Where cuts
are pooled, a shopper who stands at several of them is drawn as one (a cluster bootstrap): the cuts of one shopper are
no independent evidence.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Resamples drawn at a time: memory stays flat in their number.
CHUNK = 50


@dataclass(frozen=True)
class Figure:
    """A mean, or a difference of means, with the ends of its 95 % percentile interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Resampled:
    """``means`` (c,) of c columns, and ``draws`` (R, c): the same means over R resamples of the shoppers."""

    means: Floats
    draws: Floats

    @classmethod
    def of(cls, users: pl.Series, values: Floats, resamples: int, seed: int) -> "Resampled":
        """
        ``values`` (n, c) hold a row per shopper (and cut), ``users`` (n,) whose row it is.

        Every row counts alike. Raises ValueError where the lengths differ or there is no row.
        """
        if len(users) != len(values) or not len(users):
            raise ValueError(f"{len(users)} users for {len(values)} rows of scores")
        ids = users.unique().sort()
        code = users.cast(pl.Enum(ids)).to_physical().cast(pl.Int64).to_numpy()
        sums = np.zeros((len(ids), values.shape[1]))
        np.add.at(sums, code, values)
        rows = np.bincount(code, minlength=len(ids)).astype(np.float64)
        rng = np.random.default_rng(seed)
        parts = [_means(sums, rows, rng, min(CHUNK, resamples - done)) for done in range(0, resamples, CHUNK)]
        return cls(values.mean(axis=0), np.concatenate(parts))

    def mean(self, column: int) -> Figure:
        return _figure(float(self.means[column]), self.draws[:, column])

    def ahead(self, column: int, other: int) -> Figure:
        """How much better one column is than another, paired."""
        difference = float(self.means[column] - self.means[other])
        return _figure(difference, self.draws[:, column] - self.draws[:, other])


def _means(sums: Floats, rows: Floats, rng: np.random.Generator, resamples: int) -> Floats:
    drawn = rng.integers(0, len(rows), size=(resamples, len(rows)), dtype=np.int32)
    times = np.stack([np.bincount(draw, minlength=len(rows)) for draw in drawn]).astype(np.float64)
    means: Floats = (times @ sums) / (times @ rows)[:, None]
    return means


def _figure(value: float, draws: Floats) -> Figure:
    low, high = np.quantile(draws, [0.025, 0.975])
    return Figure(value, float(low), float(high))
