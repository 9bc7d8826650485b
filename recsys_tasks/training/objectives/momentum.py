"""Objectives with a slow copy of the encoder: MoCo, whose copy fills a queue, and BYOL, which needs no negatives."""

import torch
from torch import Tensor, nn

from recsys_tasks.model.arrays import Positions
from recsys_tasks.model.losses import multi_positive
from recsys_tasks.training.objectives.batch import PairBatch
from recsys_tasks.training.objectives.objective import Objective
from recsys_tasks.training.objectives.queue import Queued
from recsys_tasks.training.objectives.similarity import Similarity
from recsys_tasks.training.objectives.temperature import Temperature


@torch.no_grad()
def follow(copy: nn.Module, source: nn.Module, momentum: float) -> None:
    """copy <- momentum * copy + (1 - momentum) * source, parameter by parameter (MoCo, equation 2)."""
    for slow, fast in zip(copy.parameters(), source.parameters(), strict=True):
        slow.lerp_(fast, 1.0 - momentum)


class Moco(Queued):
    """
    InfoNCE against a queue: keys come from a slow copy of the encoder, negatives are the keys of earlier steps.

    He et al. 2020 (arXiv 1911.05722), section 3.2 and algorithm 1: -log(e^{f(q, k+) / t} / (e^{f(q, k+) / t} + sum over
    the queue of e^{f(q, k) / t})), the mean over pairs; q is the anchor by the encoder, k+ the positive by the copy.
    After the step this step's keys join the queue. Masks hold for the texts in the queue as for any others; the
    batch's own negatives are not used. The queue starts with texts drawn uniformly (the paper: with noise), and a
    bilinear f maps keys as it is now, not as it was when they joined.

    Raises ValueError where the batch has no follower. Before ``begin`` the queue is empty and the loss zero.
    """

    meets_drawn = False

    def __init__(self, similarity: Similarity, temperature: Temperature, momentum: float, queue: int) -> None:
        super().__init__(similarity, queue)
        self.temperature, self.momentum = temperature, momentum
        self._keys: tuple[Positions, Tensor] | None = None

    def loss(self, batch: PairBatch) -> Tensor:
        keys_BD = _followed(batch, batch.positive_texts)
        self._keys = batch.positive_texts, keys_BD
        positive_B1 = self.similarity.paired(batch.anchors_BD, keys_BD)[:, None]
        waiting_BQ = self.similarity(batch.anchors_BD, self.waiting(keys_BD))
        similarities_BC = torch.cat([positive_B1, waiting_BQ], dim=1)
        own_BC = torch.zeros_like(similarities_BC, dtype=torch.bool)
        own_BC[:, 0] = True
        masked_BC = torch.zeros_like(own_BC)
        masked_BC[:, 1:] = batch.hidden(self.queue.texts)
        logits_BC = self.temperature(similarities_BC, similarities_BC[:, 0])
        return multi_positive(logits_BC, own_BC, masked_BC)

    def after_step(self) -> None:
        if self._keys is not None:
            self.queue.push(*self._keys)
            self._keys = None


class Predictor(nn.Module):
    """
    x + W2 relu(norm(W1 x)), W2 = 0 at the start: the prediction of the slow copy's vector from the encoder's.

    The paper's predictor starts at random, which fits an encoder that does too; a tuned encoder would be thrown about.
    LayerNorm in the place of batch norm, so that a text's prediction does not hang on its batch (Richemond et al. 2020,
    arXiv 2010.10241: BYOL works without batch statistics).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(width, 2 * width), nn.LayerNorm(2 * width), nn.ReLU())
        self.outer = nn.Linear(2 * width, width)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, x_BD: Tensor) -> Tensor:
        predicted_BD: Tensor = x_BD + self.outer(self.inner(x_BD))
        return predicted_BD


class Byol(Objective):
    """
    No negatives: from each text of a pair predict what the slow copy of the encoder says of the other.

    Grill et al. 2020 (arXiv 2006.07733), section 3.1, equation 2, both ways: the mean over pairs of
    |q(z) - z'|^2 for (anchor, positive) plus that for (positive, anchor), z by the encoder, z' by the copy and without
    gradient, q the predictor. Of unit vectors with ``cosine`` (2 - 2 cos), of vectors as they are with ``euclidean``.

    Raises ValueError for products (nothing would hold their vectors together) and where the batch has no follower.
    """

    meets_drawn = False

    def __init__(self, similarity: Similarity, momentum: float, width: int) -> None:
        super().__init__(similarity)
        if similarity.kind not in ("cosine", "euclidean"):
            raise ValueError(f"BYOL compares by cosine or euclidean, not by {similarity.kind}")
        self.momentum, self.predictor = momentum, Predictor(width)

    def loss(self, batch: PairBatch) -> Tensor:
        forward_B = self._distances(batch.anchors_BD, _followed(batch, batch.positive_texts))
        backward_B = self._distances(batch.positives_BD, _followed(batch, batch.anchor_texts))
        return (forward_B + backward_B).mean()

    def _distances(self, vectors_BD: Tensor, targets_BD: Tensor) -> Tensor:
        similarities_B = self.similarity.paired(self.predictor(vectors_BD), targets_BD)
        return 2.0 - 2.0 * similarities_B if self.similarity.kind == "cosine" else -similarities_B


def _followed(batch: PairBatch, texts: Positions) -> Tensor:
    if batch.follower is None:
        raise ValueError(
            "this objective needs the vectors of a slow copy of the encoder: give the batch a follower"
        )
    return batch.follower(texts).detach()
