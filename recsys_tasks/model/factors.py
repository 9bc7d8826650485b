"""
A neighbour model as vectors, so that it joins an inner product.

EASE scores a shopper by ``history @ B`` with an item-to-item matrix B (m, m). Its best approximation of rank r, as the
shoppers of the log would see it, projects B on the r directions in which their scores vary most (a weighted
singular value decomposition): B ~ (B V) V'. What an item of the history says is then a row of B V (``given``), what
an item that is proposed answers to is a row of V (``taken``). Measured: at rank 256 as good as B itself, and better on
own items, because B's empty diagonal is lost.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.sparse import csr_matrix, diags

from recsys_tasks.model.neighbours import Neighbours
from recsys_tasks.model.one_blas_thread import ONE_BLAS_THREAD

Floats = npt.NDArray[np.float32]

ROUNDS = 3
SPARE = 32


@dataclass(frozen=True)
class Factors:
    """Two vectors an item, (m, r) each; ``item_ids`` sorted. Scores of shoppers of the log have a mean square of 1."""

    item_ids: pl.Series
    given: Floats
    taken: Floats

    @classmethod
    def of(cls, neighbours: Neighbours, histories: csr_matrix, rank: int) -> "Factors":
        """
        The factors of ``neighbours`` as the shoppers whose ``histories`` (u, m) are given see it.

        Histories count at unit length, as the bags of the user tower do. Raises nothing on an empty log: m may be 0.
        """
        unit = _unit_rows(histories)
        with ONE_BLAS_THREAD:
            taken = _directions(neighbours.weights, unit, min(rank, len(neighbours.weights)))
            given = neighbours.weights @ taken
        spread = float(
            np.sqrt(np.square(unit @ given).sum(dtype=np.float64) / max(unit.shape[0] * len(taken), 1))
        )
        return cls(neighbours.item_ids, (given / max(spread, 1e-9)).astype(np.float32), taken)


def _unit_rows(matrix: csr_matrix) -> csr_matrix:
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return csr_matrix(diags((1.0 / np.maximum(lengths, 1e-12)).astype(np.float32)) @ matrix)


def _directions(weights: Floats, histories: csr_matrix, rank: int) -> Floats:
    """The ``rank`` main directions of ``histories @ weights``, (m, rank), by subspace iteration."""
    if not rank:
        return np.zeros((len(weights), 0), np.float32)

    def spread(block: Floats) -> Floats:
        return np.asarray(weights.T @ (histories.T @ (histories @ (weights @ block))), np.float32)

    width = min(rank + SPARE, len(weights))
    block = np.random.default_rng(0).standard_normal((len(weights), width)).astype(np.float32)
    for _ in range(ROUNDS):
        block = np.linalg.qr(spread(block))[0]
    _, turn = np.linalg.eigh(block.T @ spread(block))
    return np.ascontiguousarray((block @ turn[:, ::-1])[:, :rank], dtype=np.float32)
