"""
Operations on the places 0 .. n-1 of a sequence: which of them stay, and in which order. None leaves nothing.

Crop, mask and reorder are those of CL4SRec (Xie et al. 2020, arXiv 2010.14395, section 3.2), with the strength as the
share that changes: of n items crop keeps floor((1 - strength) n) in a row (the paper's eta is 1 - strength), mask
hides floor(strength n), reorder shuffles floor(strength n) in a row.
"""

import numpy as np
import numpy.typing as npt

from recsys_tasks.model.arrays import Positions

# Shares such as .3 are no binary fractions: .3 * 10 must not become 2.
SLACK = 1e-9


def share_of(count: int, share: float) -> int:
    """floor(share * count)."""
    return int(share * count + SLACK)


def drop(count: int, share: float, rng: np.random.Generator) -> Positions:
    """Each place goes with the chance ``share``; where all would go, one drawn uniformly stays."""
    kept = np.flatnonzero(rng.random(count) >= share)
    return kept if len(kept) or not count else rng.integers(count, size=1)


def crop(count: int, share: float, rng: np.random.Generator) -> Positions:
    """A run of floor((1 - share) count) places, one at least."""
    length = min(count, max(1, share_of(count, 1.0 - share)))
    start = int(rng.integers(count - length + 1))
    return np.arange(start, start + length)


def reorder(count: int, length: int, rng: np.random.Generator) -> Positions:
    """All places, a run of ``length`` of them shuffled."""
    places = np.arange(count)
    start = int(rng.integers(count - length + 1))
    places[start : start + length] = start + rng.permutation(length)
    return places


def hidden(count: int, share: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """(count,) true at floor(share * count) places, never at all of them."""
    mask = np.zeros(count, dtype=np.bool_)
    mask[rng.choice(count, min(share_of(count, share), max(0, count - 1)), replace=False)] = True
    return mask
