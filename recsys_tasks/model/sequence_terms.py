"""
What speaks for an item beside the towers: the texts of the newest items, and what others took near them.

A term gives (n, V) scores whose largest is 1 in every row, so that one weight fits all shoppers.
"""

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix

from recsys_tasks.model.sequences import Floats, Sequences

TEXT_DECAY, NEAR_DECAY = 0.7, 0.8
# How far apart two items of one history still count as neighbours, how much less with each place, and how much an
# earlier item counts as the successor of a later one.
WINDOW, FADE, BACKWARD = 20, 0.7, 0.5
# Weight of the history item's own count in the likeness; the rest is on the proposed item's.
BALANCE = 0.7


def text_scores(histories: Sequences, text: Floats) -> Floats:
    """Likeness of each item's text to the mean of the history's texts, the newest counting most."""
    tastes = histories.matrix(len(text), TEXT_DECAY) @ text
    return _relative(np.asarray(tastes @ text.T, dtype=np.float32))


def near_scores(histories: Sequences, near: csr_matrix) -> Floats:
    """What stood near the items of the history in other histories, the newest counting most."""
    return _relative((histories.matrix(near.shape[0], NEAR_DECAY) @ near).toarray())


def near_items(sequences: Sequences, n_items: int) -> csr_matrix:
    """
    (V, V): how much an item of the history (row) speaks for another (column).

    Pairs of one sequence at most ``WINDOW`` places apart, each worth ``FADE`` ** places between, divided by the
    counts of both items, count_row ** BALANCE * count_column ** (1 - BALANCE).
    """
    user = np.repeat(np.arange(len(sequences)), sequences.lengths)
    total = csr_matrix((n_items, n_items), dtype=np.float32)
    for apart in range(1, WINDOW + 1):
        same = user[apart:] == user[:-apart]
        first, second = sequences.items[:-apart][same], sequences.items[apart:][same]
        values = np.full(len(first), FADE ** (apart - 1), np.float32)
        forward = coo_matrix((values, (first, second)), shape=total.shape)
        total = total + forward.tocsr() + BACKWARD * forward.T.tocsr()
    counts = np.maximum(sequences.counts(n_items), 1).astype(np.float32)
    pairs = total.tocoo()
    scale = counts[pairs.row] ** -BALANCE * counts[pairs.col] ** (BALANCE - 1)
    apart = pairs.row != pairs.col
    cells = (pairs.row[apart], pairs.col[apart])
    return csr_matrix(((pairs.data * scale)[apart], cells), total.shape, dtype=np.float32)


def _relative(scores: Floats) -> Floats:
    largest = scores.max(axis=1, keepdims=True, initial=0.0)
    return np.asarray(scores / np.where(largest > 0, largest, 1.0), dtype=np.float32)
