"""Matrix products whose rows do not depend on the rows beside them."""

import numpy as np

from recsys_tasks.model.arrays import Floats

ROWS = 1024


def row_products(left: Floats, right: Floats) -> Floats:
    """
    ``left (n, k) @ right (k, m)``, summed in double precision.

    In single precision the last digit of a row depends on the number of rows and on the row's place among them: BLAS
    cuts a matrix into tiles, and those of its AVX2 kernels add up in different orders. Summed in double precision
    they differ by 1e-16 of their size, which is gone when they are written in single precision again.
    """
    exact = right.astype(np.float64)
    out = np.empty((len(left), right.shape[1]), np.float32)
    for first in range(0, len(left), ROWS):
        rows = slice(first, first + ROWS)
        out[rows] = left[rows].astype(np.float64) @ exact
    return out
