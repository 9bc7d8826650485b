"""How far a training has moved the vectors it started from."""

import numpy as np

from recsys_tasks.model.arrays import Floats


def drift(start: Floats, tuned: Floats) -> float:
    """
    1 - the mean cosine of each text's vector before and after, (n, d) each: 0 for none, 1 for unrelated.

    About the mean of ``start``: raw vectors share a large part, beside which no turn would show.
    """
    centre = start.mean(axis=0)
    before, after = start - centre, tuned - centre
    lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    cosines = np.einsum("nd,nd->n", before, after) / np.maximum(lengths, 1e-12)
    return float(1.0 - cosines.mean())
