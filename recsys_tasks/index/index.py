"""
Tonight's items, ready to be searched: exact inner product by Faiss, with an order that nothing can shake.

Equal items are common (one text, no history), and which of them a plain top-k keeps depends on k and on the batch.
So a search takes more than asked, rounds the scores, orders by (-score, item_id), and takes still more where the
last place falls among equals. The last digit of a matrix product depends on where in the batch a shopper stands:
Faiss finds the items, and their scores are computed once more, each product by itself.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_tasks.files import write_whole

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

VECTORS = "items.faiss"
IDS = "items.parquet"
FACTS = "index.json"
KIND = "Flat"
USERS_AT_ONCE = 256
SPARE = 64
DECIMALS = 5
SELF_CHECK_K = 100
# How far two ways of computing one product may lie apart, as a share of the two lengths (measured: 1e-6).
MARGIN = 4e-6
# Whole blocks of shoppers by matrix product. This release of Faiss otherwise takes them one by one below 128,000
# shoppers (measured on 92 k items: 7 times the CPU time). A setting of the process, for every index alike.
faiss.cvar.distance_compute_blas_threshold = 20


@dataclass(frozen=True)
class ItemIndex:
    """Items by position; ``item_ids`` is sorted, so that a lower position is a lower id."""

    item_ids: pl.Series
    faiss_index: faiss.Index

    @classmethod
    def build(cls, item_ids: pl.Series, matrix: Floats) -> "ItemIndex":
        """Index the rows of ``matrix`` (n, d) under their ids; the ids may come in any order."""
        order = item_ids.arg_sort().to_numpy()
        index = faiss.IndexFlatIP(matrix.shape[1])
        index.add(np.ascontiguousarray(matrix[order], dtype=np.float32))
        return cls(item_ids[order], index)

    def __len__(self) -> int:
        return len(self.item_ids)

    @property
    def dim(self) -> int:
        return int(self.faiss_index.d)

    def search(self, users: Floats, k: int) -> tuple[Floats, Ints]:
        """
        The best ``min(k, items)`` of each row: scores (u, k), rounded, and positions in ``item_ids`` (u, k).

        By one thread: batches of shoppers are searched side by side, and more took twice the CPU time.
        Ordered by (-score, item_id). The answer for a smaller ``k`` is the beginning of that for a larger one.
        """
        k = min(k, len(self))
        with _one_openmp_thread():
            return self._blocks(users, k)

    def _blocks(self, users: Floats, k: int) -> tuple[Floats, Ints]:
        scores = np.empty((len(users), k), dtype=np.float32)
        positions = np.empty((len(users), k), dtype=np.int64)
        for start in range(0, len(users), USERS_AT_ONCE):
            rows = slice(start, start + USERS_AT_ONCE)
            scores[rows], positions[rows] = self._batch(np.ascontiguousarray(users[rows], np.float32), k)
        return scores, positions

    def self_check(self, users: Floats) -> float:
        """Share of the exact top 100 (a plain matrix product) that the search finds, over these users."""
        k = min(SELF_CHECK_K, len(self))
        if k == 0 or len(users) == 0:
            return 1.0
        _, positions = self.search(users, k)
        exact = users @ self.matrix.T
        last = -np.partition(-exact, k - 1, axis=1)[:, k - 1 : k]
        # Among equals either choice is exact: an item counts as found when its score belongs to the top.
        found = np.take_along_axis(exact, positions, axis=1) >= last - 2 * 10.0**-DECIMALS
        return float(found.mean())

    @cached_property
    def matrix(self) -> Floats:
        """(n, d) rows by position."""
        rows: Floats = self.faiss_index.reconstruct_n(0, len(self))
        return rows

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        faiss.write_index(self.faiss_index, str(folder / VECTORS))
        pl.DataFrame({"item_id": self.item_ids}).write_parquet(folder / IDS)
        write_whole(folder / FACTS, json.dumps({"kind": KIND, "items": len(self), "dim": self.dim}))

    @classmethod
    def load(cls, folder: Path) -> "ItemIndex":
        item_ids = pl.read_parquet(folder / IDS)["item_id"]
        return cls(item_ids, faiss.read_index(str(folder / VECTORS)))

    def _batch(self, users: Floats, k: int) -> tuple[Floats, Ints]:
        """Take more until the k-th score stands clear of the last one taken, or nothing is left."""
        taken = min(k + SPARE, len(self))
        margin = MARGIN * np.linalg.norm(users, axis=1) * self._longest
        while True:
            positions = self.faiss_index.search(users, taken)[1]
            scores = self._scores(users, positions)
            order = np.lexsort((positions, -scores), axis=1)
            scores = np.take_along_axis(scores, order, axis=1)
            if taken == len(self) or k == 0 or bool((scores[:, k - 1] > scores[:, -1] + margin).all()):
                return scores[:, :k], np.take_along_axis(positions, order, axis=1)[:, :k]
            taken = min(taken * 4, len(self))

    def _scores(self, users: Floats, positions: Ints) -> Floats:
        """The rounded products of each user with the items found for it, shaped like ``positions``."""
        scores = np.empty(positions.shape, np.float32)
        for row, found in enumerate(positions):
            np.einsum("nd,d->n", self.matrix[found], users[row], out=scores[row])
        return np.round(scores, DECIMALS)

    @cached_property
    def _longest(self) -> float:
        return float(np.linalg.norm(self.matrix, axis=1).max(initial=0.0))


@contextmanager
def _one_openmp_thread() -> Iterator[None]:
    """Faiss shares nothing out meanwhile; how many OpenMP threads there are is each thread's own matter."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)
