"""The best columns of dense score matrices, the same for a shopper alone and among others."""

from collections.abc import Iterator

import numpy as np

from recsys_tasks.model.products import row_products
from recsys_tasks.recommend.log import Floats, Ints
from recsys_tasks.recommend.proposals import Proposals, best

# Rows at a time, so that the scores of many shoppers never stand in memory together.
ROWS = 256
DIGITS = 5


def products_of(left: Floats, right: Floats) -> Iterator[tuple[int, Floats]]:
    """(first row, (b, m) block) of ``left (B, d) @ right (d, m)``, rounded."""
    for first in range(0, len(left), ROWS):
        yield first, np.round(row_products(left[first : first + ROWS], right), DIGITS)


def best_columns(scores: Floats, k: int, first: int = 0) -> Proposals:
    """
    The ``k`` largest positive scores of each row, ties to the smaller column.

    ``shopper`` is the row, counted from ``first``; ``item`` is the column.
    """
    rows, columns = _leading(scores, k)
    return best(rows + first, columns, scores[rows, columns], k)


def _leading(scores: Floats, k: int) -> tuple[Ints, Ints]:
    """Every place that may be among the ``k`` best of its row: ties of the last one included."""
    width = scores.shape[1]
    wanted = scores > 0
    if k < width:
        wanted &= scores >= np.partition(scores, width - k, axis=1)[:, width - k, None]
    rows, columns = np.nonzero(wanted)
    return rows.astype(np.int64), columns.astype(np.int64)
