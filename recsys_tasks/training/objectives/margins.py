"""Objectives without a softmax: the triplet loss and the squared loss."""

import torch
from torch import Tensor

from recsys_tasks.training.objectives.batch import PairBatch
from recsys_tasks.training.objectives.objective import InBatch, positives_of
from recsys_tasks.training.objectives.similarity import Similarity


def triplet_loss(similarities_BC: Tensor, own_BC: Tensor, masked_BC: Tensor, margin: float) -> Tensor:
    """
    The mean over all triplets (anchor, positive, open negative) of max(0, margin + f(negative) - f(positive)).

    Schroff et al. 2015 (FaceNet, arXiv 1503.03832), section 3.1, with f the negative squared distance; all triplets of
    the batch count, as in the "batch all" of Hermans et al. 2017 (arXiv 1703.07737). Without any triplet it is zero.
    """
    open_BC = ~masked_BC & ~own_BC
    short_BC = (margin + similarities_BC - positives_of(similarities_BC, own_BC)[:, None]).clamp(min=0.0)
    return short_BC.masked_fill(~open_BC, 0.0).sum() / open_BC.sum().clamp(min=1)


def squared_loss(
    similarities_BC: Tensor, own_BC: Tensor, masked_BC: Tensor, bound: float, *, distance: bool
) -> Tensor:
    """
    L = 1/N sum [f(positive)^2 - f(negative)^2], in the form that lets positives attract; N pairs, and where a pair has
    several open negatives, the mean of their squares.

    ``distance``: the similarities are -d^2 of a distance d, and f = d: the formula as it stands. The smaller the
    distance of a positive and the larger that of a negative, the lower the loss. Negatives beyond ``bound`` count as
    ``bound``, else the loss would fall for ever by blowing up the vectors.

    Otherwise f is a similarity, large for what is near, and the formula as it stands would push positives away: the
    sign is turned, L = 1/N sum [f(negative)^2 - f(positive)^2]. Negatives are then drawn to f = 0 (nothing in common),
    and the positives' square keeps its sign (f |f|): the plain square would push a positive that starts below 0 still
    further away. Positives beyond ``bound`` count as ``bound``, for the same reason as above; cosine stays within 1
    by itself.

    Raises ValueError for a bound that is not above 0. A pair without an open negative has its positive's part only.
    """
    if bound <= 0:
        raise ValueError(f"bound: a number above 0, not {bound}")
    similarities_BC = similarities_BC.float()
    positive_B = positives_of(similarities_BC, own_BC)
    if distance:
        attract_B, repel_BC = -positive_B, -((-similarities_BC).clamp(max=bound**2))
    else:
        near_B = positive_B.clamp(max=bound)
        attract_B, repel_BC = -near_B * near_B.abs(), similarities_BC.square()
    open_BC = ~masked_BC & ~own_BC
    repel_B = repel_BC.masked_fill(~open_BC, 0.0).sum(dim=1) / open_BC.sum(dim=1).clamp(min=1)
    return torch.mean(attract_B + repel_B)


class Triplet(InBatch):
    """The triplet loss (``triplet_loss``): a positive must be nearer than every negative, by a margin."""

    def __init__(self, similarity: Similarity, margin: float) -> None:
        super().__init__(similarity)
        self.margin = margin

    def loss(self, batch: PairBatch) -> Tensor:
        found = self.scores(batch)
        return triplet_loss(found.similarities_BC, found.own_BC, found.masked_BC, self.margin)


class Squared(InBatch):
    """The squared loss (``squared_loss``), of distances where the similarity is one and of products otherwise."""

    def __init__(self, similarity: Similarity, bound: float) -> None:
        super().__init__(similarity)
        self.bound = bound

    def loss(self, batch: PairBatch) -> Tensor:
        found = self.scores(batch)
        distance = self.similarity.kind == "euclidean"
        return squared_loss(
            found.similarities_BC, found.own_BC, found.masked_BC, self.bound, distance=distance
        )
