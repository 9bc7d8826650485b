"""
EASE (Steck, 2019, "Embarrassingly Shallow Autoencoders for Sparse Data"): plain, with time decay, with popularity.

B = I - P diag(1 / diag P), P = (X'X + lambda I)^-1, and a user's scores are x B. Memory is 4 m^2 bytes for the m
items kept: the 12,000 with most distinct users (0.6 GB); while choosing, the 6,000 with most.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl
from scipy import linalg, sparse

from benchmarks.peers.base import Log
from benchmarks.peers.choose import Learn, Settings
from benchmarks.peers.coded import Coded, Floats, Ints
from benchmarks.peers.lists import Opinion
from benchmarks.peers.tuned import Tuned

MAX_ITEMS = 12_000
MAX_ITEMS_TRYING = 6_000
BLOCK = 1_024


@dataclass(frozen=True)
class ItemToItem:
    """Scores that are a user's row times an item-item matrix: row = item of the history."""

    users: pl.Series
    items: pl.Series
    taste: sparse.csr_matrix
    weights: Floats | sparse.csr_matrix
    zero_is_nothing: bool = False

    def scores(self, rows: Ints) -> Floats:
        """(B, m); with ``zero_is_nothing`` a score of 0 is no opinion."""
        product = self.taste[rows] @ self.weights
        scores = np.asarray(product.toarray() if sparse.issparse(product) else product, np.float32)
        if self.zero_is_nothing:
            scores[scores == 0] = -np.inf
        return scores


def gram(taste: sparse.csr_matrix) -> Floats:
    """(m, m) dense X'X of (U, m), built in blocks: a sparse product would need more than twice its memory."""
    by_item = sparse.csr_matrix(taste.T)
    result = np.empty((taste.shape[1], taste.shape[1]), np.float32)
    for start in range(0, len(result), BLOCK):
        result[start : start + BLOCK] = (by_item[start : start + BLOCK] @ taste).toarray()
    return result


def ease_weights(taste: sparse.csr_matrix, regularisation: float) -> Floats:
    """(m, m) float32 with a zero diagonal, from (U, m) tastes; ``regularisation`` is Steck's lambda."""
    matrix = gram(taste)
    matrix[np.diag_indices_from(matrix)] += np.float32(regularisation)
    # LAPACK wants columns first: the transpose of a symmetric matrix is itself, so all happens in place.
    factor, failed = linalg.lapack.spotrf(matrix.T, lower=False, overwrite_a=True)
    assert not failed, "a Gram matrix plus a positive diagonal has a Cholesky factor"
    upper, failed = linalg.lapack.spotri(factor, lower=False, overwrite_c=True)
    assert not failed
    _mirror(upper)
    inverse: Floats = upper.T
    inverse /= -np.diagonal(inverse).copy()
    inverse[np.diag_indices_from(inverse)] = 0
    return inverse


def _mirror(upper: Floats) -> None:
    """Copy the upper triangle to the lower one in place, block by block."""
    for start in range(0, len(upper), BLOCK):
        stop = min(start + BLOCK, len(upper))
        upper[start:stop, :start] = upper[:start, start:stop].T
        square = upper[start:stop, start:stop]
        square[:] = np.triu(square) + np.triu(square, 1).T


class Ease(Tuned):
    """EASE on what a user has touched."""

    name: ClassVar[str] = "ease"

    def grid(self, log: Log) -> list[Settings]:
        return [{"regularisation": value} for value in (200.0, 50.0, 800.0, 3200.0)]

    def learner(self, log: Log, trying: bool) -> Learn:
        coded = Coded.of(log.learned(), MAX_ITEMS_TRYING if trying else MAX_ITEMS)
        everyone = coded.read(log)

        def learn(settings: Settings) -> Opinion:
            half_life = settings.get("half_life")
            weights = ease_weights(coded.matrix(half_life), settings["regularisation"])
            return ItemToItem(everyone.users, everyone.items, everyone.matrix(half_life), weights)

        return learn


class EaseDecayed(Ease):
    """EASE whose weights halve with age, in what it learns from and in a user's own row."""

    name: ClassVar[str] = "ease-decayed"

    def grid(self, log: Log) -> list[Settings]:
        half_lives = (90.0, 30.0, 365.0) if log.times is not None else (8.0, 3.0, 30.0)
        return [
            {"half_life": half_life, "regularisation": value}
            for half_life in half_lives
            for value in (100.0, 400.0)
        ]
