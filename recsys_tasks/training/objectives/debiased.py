"""Softmax objectives that weigh their negatives: debiased, and harder ones more."""

import math

import torch
from torch import Tensor

from recsys_tasks.model.losses import HIDDEN
from recsys_tasks.training.objectives.batch import PairBatch
from recsys_tasks.training.objectives.objective import InBatch, positives_of
from recsys_tasks.training.objectives.similarity import Similarity
from recsys_tasks.training.objectives.temperature import Temperature


def debiased_loss(
    logits_BC: Tensor,
    own_BC: Tensor,
    masked_BC: Tensor,
    *,
    class_prior: float,
    lowest: Tensor | float,
    concentration: float = 0.0,
) -> Tensor:
    """
    The mean over rows of -log(e^p / (e^p + n g)), p the own positive's logit, n the row's open negatives.

    g = max((mean_j w_j e^{l_j} - class_prior e^p) / (1 - class_prior), e^lowest): what a true negative is worth, when
    a share ``class_prior`` of the candidates are unseen positives: Chuang et al. 2020 (arXiv 2007.00224), section 4,
    equations 7 and 8, with the pair's own positive as the only known one (M = 1). ``lowest`` is the smallest logit
    there can be. w_j = e^{concentration l_j} / mean e^{concentration l}: harder negatives count more, Robinson et al.
    2021 (arXiv 2010.04592), section 3; 0 weighs all alike. The weights say how negatives would be drawn and carry no
    gradient (with one, easy negatives would be pulled near). With both at 0 and no floor this is InfoNCE.

    Raises ValueError for a class prior outside [0, 1). A row without an open negative has a loss of zero.
    """
    if not 0.0 <= class_prior < 1.0:
        raise ValueError(f"class_prior: a share below 1, not {class_prior}")
    # Every exponential is taken relative to the largest logit of its row.
    logits_BC = logits_BC.float().masked_fill(masked_BC, HIDDEN)
    top_B = logits_BC.detach().max(dim=1).values
    positive_B = (positives_of(logits_BC, own_BC) - top_B).exp()
    open_BC = ~masked_BC & ~own_BC
    count_B = open_BC.sum(dim=1)
    worth_BC = (logits_BC - top_B[:, None]).exp() * open_BC
    weights_BC = _hardness(logits_BC, open_BC, concentration)
    mean_B = (worth_BC * weights_BC).sum(dim=1) / count_B.clamp(min=1)
    unbiased_B = (mean_B - class_prior * positive_B) / (1.0 - class_prior)
    floor_B = (torch.as_tensor(lowest, device=top_B.device) - top_B).exp()
    negative_B = torch.maximum(unbiased_B, floor_B) * count_B
    return (torch.log(positive_B + negative_B) - positives_of(logits_BC, own_BC) + top_B).mean()


def _hardness(logits_BC: Tensor, open_BC: Tensor, concentration: float) -> Tensor:
    """Weights with a mean of 1 over the open negatives of each row."""
    steep_BC = (concentration * logits_BC.detach()).masked_fill(~open_BC, -math.inf)
    shares_BC = torch.softmax(steep_BC, dim=1).nan_to_num(0.0)
    return shares_BC * open_BC.sum(dim=1, keepdim=True)


class Debiased(InBatch):
    """Debiased InfoNCE (``debiased_loss`` without concentration): some of the negatives are unseen positives."""

    def __init__(
        self,
        similarity: Similarity,
        temperature: Temperature,
        class_prior: float,
        concentration: float = 0.0,
    ) -> None:
        super().__init__(similarity)
        self.temperature, self.class_prior, self.concentration = temperature, class_prior, concentration

    def loss(self, batch: PairBatch) -> Tensor:
        found = self.scores(batch)
        positives_B = positives_of(found.similarities_BC, found.own_BC)
        lowest = torch.full_like(positives_B, self.similarity.lowest)
        return debiased_loss(
            self.temperature(found.similarities_BC, positives_B),
            found.own_BC,
            found.masked_BC,
            class_prior=self.class_prior,
            lowest=self.temperature(lowest, positives_B).detach(),
            concentration=self.concentration,
        )


class HardNegatives(Debiased):
    """Debiased InfoNCE whose negatives count by how near they lie (``debiased_loss`` with a concentration)."""
