"""Small parts that the features share."""

import numpy as np

from recsys_tasks.recommend.log import Bools, Floats, Ints

Column = tuple[str, Floats]
# Rows whose vectors are multiplied at a time.
CHUNK = 1 << 16


def picked(column: Floats, place: Ints, known: Bools, otherwise: float) -> Floats:
    """``column[place]`` where known."""
    if not len(column):
        return np.full(len(place), otherwise, np.float32)
    return np.where(known, column[place], np.float32(otherwise))


def products(users: Floats, items: Floats, shopper: Ints, item: Ints) -> Floats:
    """The inner product of each row's shopper and item, (R,); each by itself, whoever else is asked for."""
    result = np.empty(len(shopper), np.float32)
    for first in range(0, len(shopper), CHUNK):
        some = slice(first, first + CHUNK)
        np.einsum("rd,rd->r", users[shopper[some]], items[item[some]], out=result[some])
    return np.round(result, 5)


def nearest(vectors: Floats, row: Ints, shopper: Ints, own: Ints, own_shopper: Ints) -> Floats:
    """
    (R,) the largest inner product of each candidate with the shopper's own items; nan for one without any.

    ``row`` and ``own`` are rows of ``vectors``; both stand by shopper.
    """
    result = np.full(len(row), np.nan, np.float32)
    present = np.unique(shopper)
    begin, end = np.searchsorted(shopper, present), np.searchsorted(shopper, present, side="right")
    own_begin, own_end = (
        np.searchsorted(own_shopper, present),
        np.searchsorted(own_shopper, present, side="right"),
    )
    for a, b, c, d in zip(begin, end, own_begin, own_end, strict=True):
        if d > c:
            result[a:b] = (vectors[row[a:b]] @ vectors[own[c:d]].T).max(axis=1)
    return np.round(result, 5)
