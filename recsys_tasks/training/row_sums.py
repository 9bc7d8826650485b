"""
Sums of rows of a table, and what flows back from them as sums too.

For every backward pass torch's own ``embedding_bag`` sorts the rows anew and adds them up one after the other. But who
reads a row is known before: turned about, what flows back to it is the sum over its readers. That takes the time of a
forward pass (measured: a quarter of a towers fit less), in an order that is the same in every run.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_matrix
from torch import Tensor
from torch.nn.functional import embedding_bag

Ints = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class RowSums:
    """
    M sums of rows of a table of R rows: sum ``m`` reads ``rows[starts[m]:starts[m + 1]]``.

    Turned about, row ``r`` is read by the sums ``readers[reader_starts[r]:reader_starts[r + 1]]``; ``entry`` says where
    in ``rows`` each of these readings stands.
    """

    rows: Tensor
    starts: Tensor
    readers: Tensor
    reader_starts: Tensor
    entry: Tensor

    @classmethod
    def of(cls, rows: Ints, starts: Ints, table: int) -> "RowSums":
        """From positions in a table of so many rows."""
        shape = len(starts) - 1, table
        turned = csr_matrix((np.arange(len(rows), dtype=np.int32), rows, starts), shape).tocsc()
        arrays = rows, starts, turned.indices, turned.indptr, turned.data
        return cls(*(torch.from_numpy(np.asarray(array, np.int32)) for array in arrays))

    @classmethod
    def single(cls, rows: Ints, table: int) -> "RowSums":
        """Sums of one row each: the rows as they stand."""
        return cls.of(rows, np.arange(len(rows) + 1), table)

    def to(self, device: torch.device) -> "RowSums":
        return RowSums(*(tensor.to(device) for tensor in self._tensors()))

    def over(self, table: Tensor, weights: Tensor | None = None) -> Tensor:
        """(M, D) the sums of rows of ``table`` (R, D), each reading times its weight; ``weights`` take no gradient."""
        summed: Tensor = _Over.apply(table, self, weights)  # type: ignore[no-untyped-call]
        return summed

    def _tensors(self) -> Iterator[Tensor]:
        return (getattr(self, field.name) for field in fields(self))


class _Over(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, sums: RowSums, weights: Tensor | None) -> Tensor:
        ctx.sums, ctx.weights = sums, weights
        return _summed(table, sums.rows, sums.starts, weights)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        sums, weights = ctx.sums, ctx.weights
        turned = None if weights is None else weights.index_select(0, sums.entry)
        return _summed(gradients[0].contiguous(), sums.readers, sums.reader_starts, turned), None, None


def _summed(table: Tensor, rows: Tensor, starts: Tensor, weights: Tensor | None) -> Tensor:
    return embedding_bag(
        rows, table, starts, mode="sum", per_sample_weights=weights, include_last_offset=True
    )
