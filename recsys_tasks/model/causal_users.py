"""
The user tower that reads a history in order: a causal transformer over its last items.

The one part of the towers that needs torch to be used; it is loaded only where a shop's towers are of this kind.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch

from recsys_tasks.model.causal import CausalTower
from recsys_tasks.model.histories import Bags

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

LENGTH = 50
AT_ONCE = 512


def causal_tower(dim: int) -> CausalTower:
    """The transformer of towers of this width, freshly drawn from torch's own generator."""
    return CausalTower(dim, LENGTH, heads=2 if dim % 2 == 0 else 1)


def recent(bags: Bags) -> tuple[Ints, Ints]:
    """The last LENGTH items of each row, (B, L) oldest first, filled up with item 0; and where the last one stands."""
    taken = np.minimum(bags.lengths, LENGTH)
    place = np.arange(LENGTH)
    at = (bags.offsets[1:] - taken)[:, None] + np.minimum(place, np.maximum(taken - 1, 0)[:, None])
    known = place < taken[:, None]
    codes = np.zeros((len(taken), LENGTH), np.int64)
    codes[known] = bags.items[at[known]]
    return codes, np.maximum(taken - 1, 0)


@torch.no_grad()
def causal_rows(weights: Mapping[str, Floats], bags: Bags, vectors: Floats) -> Floats:
    """(B, D) what the transformer makes of each history of item ``vectors``; means nothing for an empty one."""
    tower = causal_tower(vectors.shape[1])
    tower.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    tower.eval()
    codes, last = recent(bags)
    table = torch.from_numpy(vectors)
    rows = [
        tower(table[torch.from_numpy(codes[start : start + AT_ONCE])])[
            torch.arange(len(codes[start : start + AT_ONCE])), torch.from_numpy(last[start : start + AT_ONCE])
        ]
        for start in range(0, len(codes), AT_ONCE)
    ]
    found: Floats = torch.cat(rows).numpy() if rows else np.zeros((0, vectors.shape[1]), np.float32)
    return found
