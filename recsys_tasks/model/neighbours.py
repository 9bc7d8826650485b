"""
Which items belong together, by a linear item-to-item model (EASE; Steck, 2019, "Embarrassingly Shallow
Autoencoders for Sparse Data").

It is solved, not trained: counts in, one matrix inverse out. So it can be fitted to a snapshot as of any instant
within seconds, and a candidate source and the towers' start can read the same matrix.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.linalg import lapack
from scipy.sparse import csr_matrix

from recsys_tasks.model.one_blas_thread import ONE_BLAS_THREAD
from recsys_tasks.model.popularity import DAY_US, age_us

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

# Between 100 and 300 the lists of three unlike shops were as good as at their best, with this half-life.
REGULARISATION = 200.0
HALF_LIFE_DAYS = 180.0
# Items whose products with all others are held at a time, so that memory stays at about two (m, m) matrices.
BLOCK = 512


@dataclass(frozen=True)
class Neighbours:
    """
    An item-to-item matrix over the m items that shoppers touched most.

    ``item_ids`` is sorted. ``weights`` (m, m) says how much an item of the history (row) speaks for an item that is
    proposed (column); its diagonal is zero. A shopper's scores are ``history (1, m) @ weights``.
    """

    item_ids: pl.Series
    weights: Floats
    event_weights: Mapping[str, float]
    half_life_days: float | None

    @classmethod
    def fit(
        cls,
        events: pl.DataFrame,
        as_of: datetime,
        event_weights: Mapping[str, float],
        *,
        max_items: int = 5000,
        half_life_days: float | None = HALF_LIFE_DAYS,
        regularisation: float = REGULARISATION,
    ) -> "Neighbours":
        """
        Solve it from the events before ``as_of`` (Events contract); types without a weight do not count.

        A (shopper, item) counts once, with its strongest event: the event's weight as a share of the largest weight,
        halved for every ``half_life_days`` of age (none: age does not matter).
        """
        touched = _touched(events, as_of, event_weights, half_life_days)
        item_ids = _most_touched(touched, max_items)
        users = touched["user_id"].unique().sort()
        matrix = _matrix(touched, users, item_ids)
        with ONE_BLAS_THREAD:
            return cls(item_ids, _solved(_gram(matrix), regularisation), event_weights, half_life_days)

    def histories(self, events: pl.DataFrame, users: pl.Series, as_of: datetime) -> csr_matrix:
        """(u, m) what each of the distinct ``users`` touched before ``as_of``, decayed as in the fit."""
        own = events.filter(pl.col("user_id").is_in(users.implode()))
        return _matrix(_touched(own, as_of, self.event_weights, self.half_life_days), users, self.item_ids)

    def scores(self, histories: csr_matrix) -> Floats:
        """(u, m) how much each history speaks for each item."""
        return np.asarray(histories @ self.weights, dtype=np.float32)


def _touched(
    events: pl.DataFrame, as_of: datetime, event_weights: Mapping[str, float], half_life_days: float | None
) -> pl.DataFrame:
    """(user_id, item_id, strength), a row a pair, in any order."""
    largest = max(event_weights.values(), default=1.0)
    shares = {name: weight / largest for name, weight in event_weights.items()}
    age = age_us(as_of)
    decay = pl.lit(1.0) if half_life_days is None else (-age / (DAY_US * half_life_days) * np.log(2.0)).exp()
    return (
        events.lazy()
        .filter(age > 0, pl.col("event_type").is_in(sorted(shares)))
        .select(
            "user_id",
            "item_id",
            strength=pl.col("event_type").replace_strict(shares, return_dtype=pl.Float64) * decay,
        )
        .group_by("user_id", "item_id")
        .agg(pl.col("strength").max())
        .collect()
    )


def _most_touched(touched: pl.DataFrame, max_items: int) -> pl.Series:
    """The ids with the largest sums over shoppers, ties by id; sorted by id."""
    # Rounded: a sum's last digits depend on the order of its terms, and equal items must stay equal.
    sums = touched.group_by("item_id").agg(pl.col("strength").sum().round(6))
    return sums.sort("strength", "item_id", descending=[True, False])["item_id"].head(max_items).sort()


def _matrix(touched: pl.DataFrame, users: pl.Series, item_ids: pl.Series) -> csr_matrix:
    rows = (
        touched.lazy()
        .join(_coded(users, "user_id"), on="user_id", how="inner")
        .join(_coded(item_ids, "item_id"), on="item_id", how="inner")
        .select("user_id_code", "item_id_code", "strength")
        .collect()
    )
    places = (rows["user_id_code"].to_numpy(), rows["item_id_code"].to_numpy())
    matrix = csr_matrix((rows["strength"].cast(pl.Float32).to_numpy(), places), (len(users), len(item_ids)))
    matrix.sort_indices()
    return matrix


def _coded(ids: pl.Series, name: str) -> pl.LazyFrame:
    return pl.LazyFrame({name: ids, f"{name}_code": np.arange(len(ids))})


def _gram(matrix: csr_matrix) -> Floats:
    """(m, m) how often two items were touched by one shopper, each time by the product of their strengths."""
    m = matrix.shape[1]
    by_item = matrix.T.tocsr()
    gram = np.empty((m, m), np.float32)
    for first in range(0, m, BLOCK):
        gram[first : first + BLOCK] = (by_item[first : first + BLOCK] @ matrix).toarray()
    return gram


def _solved(gram: Floats, regularisation: float) -> Floats:
    """B = I - P / diag(P), P the inverse of the gram plus a ridge; B takes the gram's place. Its diagonal is zero."""
    if not len(gram):
        return gram
    gram[np.diag_indices_from(gram)] += np.float32(regularisation)
    # A positive definite matrix: its Cholesky factor costs half of a general inverse and is exact enough in float32.
    # Symmetric, so turned about it is the same, and lies as LAPACK works: without a copy.
    factor, failed = lapack.spotrf(gram.T, lower=True, clean=False, overwrite_a=True)
    inverse, failed = (factor, failed) if failed else lapack.spotri(factor, lower=True, overwrite_c=True)
    assert not failed, "a gram matrix with a ridge is positive definite"
    weights = _mirrored(inverse.T)
    weights /= -np.diagonal(weights).copy()
    np.fill_diagonal(weights, 0.0)
    return weights


def _mirrored(matrix: Floats) -> Floats:
    """The same matrix, with what stands above its diagonal written below it too; a block of rows at a time."""
    m = len(matrix)
    for first in range(0, m, BLOCK):
        rows = slice(first, min(first + BLOCK, m))
        above = np.triu(matrix[rows, rows])
        matrix[rows, rows] = above + np.triu(above, 1).T
        matrix[rows, :first] = matrix[:first, rows].T
    return matrix
