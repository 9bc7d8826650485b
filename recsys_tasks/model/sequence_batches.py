"""
Batches of sequences in length buckets, every place a target.

Each sequence has rows of its own, padded at the end only up to the longest of its bucket; what stands after a
sequence's end is never read by a place before it (both user towers look back only) and never a target.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recsys_tasks.model.sequences import Ints, Sequences

# A bucket's lengths differ by at most this factor (and by at least this many places).
SPREAD, SLACK = 1.25, 2


@dataclass(frozen=True)
class Bucket:
    """B sequences of nearly equal length, (B, L); zeros behind a sequence's end."""

    rows: Ints
    """(B,) which sequence each row is."""
    inputs: Ints
    filled: npt.NDArray[np.bool_]


def windows(sequences: Sequences, length: int) -> Sequences:
    """
    Every sequence cut to pieces of at most ``length`` inputs and one more item, the last target.

    Pieces share one item, so that each item but the first of a sequence is a target once. Sequences of fewer than
    two items teach nothing and are left out.
    """
    pieces = []
    for row in np.flatnonzero(sequences.lengths >= 2):
        items = sequences[int(row)]
        # Counted from the end: the newest piece is the full one.
        for end in range(len(items), 1, -length):
            pieces.append(items[max(0, end - length - 1) : end])
    return Sequences.of(pieces)


def buckets(sequences: Sequences, rows: Ints) -> Iterator[Bucket]:
    """The given sequences by length; sequences without an item are left out."""
    lengths = sequences.lengths[rows]
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    while len(order):
        shortest = lengths[order[0]]
        take = np.searchsorted(lengths[order], max(shortest * SPREAD, shortest + SLACK), side="right")
        yield _bucket(sequences, rows[order[:take]])
        order = order[take:]


def _bucket(sequences: Sequences, rows: Ints) -> Bucket:
    lengths = sequences.lengths[rows]
    place = np.arange(lengths.max())
    filled = place < lengths[:, None]
    inputs = np.zeros(filled.shape, dtype=np.int64)
    where = sequences.offsets[rows][:, None] + place
    inputs[filled] = sequences.items[where[filled]]
    return Bucket(rows, inputs, filled)
