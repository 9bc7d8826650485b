"""Drawing from a policy: which operations one view gets."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from recsys_tasks.settings.augment import Operation

S = TypeVar("S", bound=Operation)


def drawn(sub_policies: Sequence[Sequence[S]], rng: np.random.Generator) -> list[S]:
    """One sub-policy, each alike; of its operations, in order, those that their chance lets through."""
    steps = sub_policies[int(rng.integers(len(sub_policies)))]
    return [
        step for step, chance in zip(steps, rng.random(len(steps)), strict=True) if chance < step.probability
    ]
