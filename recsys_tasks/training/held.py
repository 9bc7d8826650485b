"""Which texts stand in which slice of a flat array: the shopper's own, an example's positives."""

import numpy as np

from recsys_tasks.model.arrays import Positions
from recsys_tasks.training.encoder_data import Bools, Ints


def held(codes: Positions, values: Ints, begins: Ints, ends: Ints, texts: int) -> Bools:
    """Whether row i's slice ``values[begins[i]:ends[i]]`` holds each of ``codes``, all below ``texts``; (B, C)."""
    held = np.zeros((len(begins), texts), dtype=np.bool_)
    lengths = ends - begins
    places = np.arange(lengths.sum()) + np.repeat(begins - (np.cumsum(lengths) - lengths), lengths)
    held[np.repeat(np.arange(len(begins)), lengths), values[places]] = True
    return held[:, codes]
