"""A coarse grouping of items by what their texts say, for shops with and without categories."""

import numpy as np
import numpy.typing as npt

from recsys_tasks.model.products import ROWS, row_products
from recsys_tasks.recommend.log import Floats, Ints

AXES = 16
# Topics are numbered 0 .. TOPICS - 1: one for each end of each axis.
TOPICS = 2 * AXES


def topics_of(text: Floats) -> Ints:
    """
    (n,) a topic for each text vector (n, T): the principal axis that the text lies furthest out on, and which end.

    Axes are scaled to equal spread, else the first one would take everything. No draw and no start is involved, so
    the same catalogue has the same topics always.
    """
    if not len(text):
        return np.zeros(0, np.int64)
    centred = text - text.mean(axis=0, dtype=np.float64).astype(np.float32)
    variances, axes = np.linalg.eigh(_gram(centred) / len(text))
    axes = axes[:, ::-1][:, :AXES]
    # An axis has no sign of its own: its largest component points up.
    axes = axes * np.sign(np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0))
    scales = 1.0 / np.sqrt(np.maximum(variances[::-1][:AXES], 1e-9))
    along = np.round(row_products(centred, axes * scales), 4)
    furthest = np.abs(along).argmax(axis=1)
    side = np.take_along_axis(along, furthest[:, None], axis=1)[:, 0] < 0
    topics: Ints = (2 * furthest + side).astype(np.int64)
    return topics


def _gram(matrix: Floats) -> npt.NDArray[np.float64]:
    """(T, T) ``matrix.T @ matrix``, summed in double precision: the order of the rows must not turn an axis."""
    gram = np.zeros((matrix.shape[1], matrix.shape[1]))
    for first in range(0, len(matrix), ROWS):
        rows = matrix[first : first + ROWS].astype(np.float64)
        gram += rows.T @ rows
    return gram
