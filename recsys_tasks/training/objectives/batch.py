"""A batch of pairs, as every objective gets it."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from recsys_tasks.model.arrays import Positions


@dataclass(frozen=True, kw_only=True)
class PairBatch:
    """Pair i says that text ``positive_texts[i]`` follows ``anchor_texts[i]``; vectors are those of these texts."""

    anchors_BD: Tensor
    positives_BD: Tensor
    negatives_ND: Tensor
    anchor_texts: Positions
    positive_texts: Positions
    negative_texts: Positions
    hidden: Callable[[Positions], Tensor]
    """Texts (n,) -> (B, n): which are no negatives of each pair: equal texts, and what the shopper took anyway."""
    unmet_BB: Tensor | None = None
    """Which other pairs' texts are no candidates of each pair, whatever they are (``in_batch``); none: all are."""
    expected_C: Tensor
    """(B + N,) how often each of the positives' and negatives' texts is expected among the candidates of a step."""
    follower: Callable[[Positions], Tensor] | None = None
    """Texts -> their vectors by the slow copy of the encoder, without gradient; for objectives with a momentum."""
