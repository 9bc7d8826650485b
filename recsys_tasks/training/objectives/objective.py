"""The contract of all objectives."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from recsys_tasks.model.arrays import Positions
from recsys_tasks.training.objectives.batch import PairBatch
from recsys_tasks.training.objectives.similarity import Similarity

# A number -> at most that many texts, drawn uniformly, and their vectors.
Draw = Callable[[int], tuple[Positions, Tensor]]


class Objective(nn.Module, ABC):
    """
    A loss over pairs, with whatever it learns or remembers beside the encoder.

    ``begin`` once, then for every step ``loss`` and, after the optimiser has moved, ``after_step``. What is learned
    beside the encoder are the module's parameters. Every process computes the loss of the whole batch from the same
    vectors, so state is equal everywhere and any number of processes follows the same losses.
    """

    momentum: float | None = None
    """How slowly a copy of the encoder follows it; none: the objective needs no copy."""
    meets_drawn = True
    """Whether the negatives drawn for the pairs are candidates; where they are not, nobody encodes them."""

    def __init__(self, similarity: Similarity) -> None:
        super().__init__()
        self.similarity = similarity

    def begin(self, draw: Draw) -> None:
        """Fill what the objective remembers; most remember nothing."""

    @abstractmethod
    def loss(self, batch: PairBatch) -> Tensor:
        """The loss of the batch, a number with gradient."""

    def after_step(self) -> None:
        """The optimiser has moved: take over what this step leaves behind."""


@dataclass(frozen=True)
class Scores:
    """Similarities of each anchor to its candidates, which one is its positive, and which are masked; all (B, C)."""

    similarities_BC: Tensor
    own_BC: Tensor
    masked_BC: Tensor


class InBatch(Objective):
    """
    Candidates of an anchor: its own positive, the other pairs' positives and the batch's negatives (C = B + N).

    The other pairs' positives as negatives: Chen et al. 2017 (arXiv 1706.07881), "negative sharing".
    """

    def scores(self, batch: PairBatch) -> Scores:
        candidates_CD = torch.cat([batch.positives_BD, batch.negatives_ND])
        similarities_BC = self.similarity(batch.anchors_BD, candidates_CD)
        own_BC = eye(similarities_BC)
        return Scores(similarities_BC, own_BC, masked(batch, own_BC, batch.positive_texts))


def masked(batch: PairBatch, own_BC: Tensor, *of_pairs: Positions) -> Tensor:
    """
    (B, C) which candidates are no negatives. The candidates are texts ``of_pairs``, a text a pair each time, and behind
    them the batch's negatives.
    """
    masked_BC = batch.hidden(np.concatenate([*of_pairs, batch.negative_texts]))
    if batch.unmet_BB is not None:
        pairs = len(batch.unmet_BB)
        masked_BC[:, : pairs * len(of_pairs)] |= batch.unmet_BB.repeat(1, len(of_pairs))
    return masked_BC & ~own_BC


def eye(like_BC: Tensor) -> Tensor:
    """(B, C), true where row i meets candidate i."""
    return torch.eye(*like_BC.shape, dtype=torch.bool, device=like_BC.device)


def positives_of(scores_BC: Tensor, own_BC: Tensor) -> Tensor:
    """(B,) the score of each row's own positive."""
    return scores_BC[own_BC]
