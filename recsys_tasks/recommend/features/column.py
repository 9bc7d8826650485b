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


def likeness(
    vectors: Floats, row: Ints, shopper: Ints, users: Floats, own: Floats, own_shopper: Ints
) -> tuple[Floats, Floats]:
    """
    Two columns (R,): each candidate's inner product with its shopper's vector, and the largest with one of ``own``.

    The latter is nan for a shopper without own rows. ``row`` are rows of ``vectors`` (n, d); ``users`` (B, d) has a row
    for every shopper; ``own`` (o, d) belong to ``own_shopper``. Candidates and own rows stand by shopper. A shopper's
    candidates are multiplied alone, whoever else is asked for.
    """
    to_user, to_own = (np.full(len(row), np.nan, np.float32) for _ in range(2))
    present = np.unique(shopper)
    starts, own_starts = np.searchsorted(shopper, present), np.searchsorted(own_shopper, present)
    ends = np.searchsorted(shopper, present, side="right")
    own_ends = np.searchsorted(own_shopper, present, side="right")
    for who, a, b, c, d in zip(present, starts, ends, own_starts, own_ends, strict=True):
        both = vectors[row[a:b]] @ np.vstack([users[who], own[c:d]]).T
        to_user[a:b] = both[:, 0]
        if d > c:
            to_own[a:b] = both[:, 1:].max(axis=1)
    return np.round(to_user, 5), np.round(to_own, 5)
