"""Softmax objectives over a sample of the catalogue, corrected for how it was drawn."""

import torch
from torch import Tensor

from recsys_tasks.model.losses import HIDDEN, correct_for_sampling, multi_positive
from recsys_tasks.training.objectives.batch import PairBatch
from recsys_tasks.training.objectives.objective import InBatch, positives_of
from recsys_tasks.training.objectives.similarity import Similarity
from recsys_tasks.training.objectives.temperature import Temperature


def corrected_softmax_loss(
    logits_BC: Tensor, own_BC: Tensor, masked_BC: Tensor, expected_C: Tensor, strength: float = 1.0
) -> Tensor:
    """
    The mean over rows of sg(1 - P) (log Z - p), where Z = sum_j e^{l_j} / expected_j over the open negatives.

    Khrylchenko et al. 2025 (arXiv 2507.09331), section 3.3. The gradient of the full softmax is
    (1 - P(p)) (E[grad l_c | c is not p] - grad p): the positive is not drawn, it is always there, so only negatives are
    corrected, the positive stays out of their softmax, and a row weighs what the model is still wrong by:
    P = e^p / (e^p + Z), without gradient.

    Derived here: the paper draws n negatives from Q' and has log of the plain sum of e^{l - log Q'} in the loss and its
    mean in P. ``expected_j`` = n Q'(j) puts the same estimate of the full sum into both; the loss differs by
    sg(1 - P) log n, the gradient not at all. The paper draws again where a negative is the positive
    (Q' = Q / (1 - Q(p))); here it is masked and not replaced, so the expected counts of the others stay what they are.

    A row without an open negative has a loss of zero.
    """
    corrected_BC = correct_for_sampling(logits_BC.float(), expected_C, strength)
    positive_B = positives_of(logits_BC, own_BC).float()
    open_BC = ~masked_BC & ~own_BC
    log_total_B = torch.logsumexp(corrected_BC.masked_fill(~open_BC, HIDDEN), dim=1)
    behind_B = log_total_B - positive_B
    wrong_B = torch.sigmoid(behind_B).detach()
    return torch.where(open_BC.any(dim=1), wrong_B * behind_B, 0.0).mean()


class SampledSoftmax(InBatch):
    """
    InfoNCE with the logQ correction: logits minus ``strength`` * log of how often each candidate is expected.

    Bengio and Senecal 2008; Yi et al. 2019, "Sampling-bias-corrected neural modeling", section 4. Without it texts that
    are drawn often are pushed away for being popular; 0 is InfoNCE. The own positive is corrected like all others.
    """

    def __init__(self, similarity: Similarity, temperature: Temperature, strength: float) -> None:
        super().__init__(similarity)
        self.temperature, self.strength = temperature, strength

    def loss(self, batch: PairBatch) -> Tensor:
        found = self.scores(batch)
        logits_BC = self.temperature(found.similarities_BC, positives_of(found.similarities_BC, found.own_BC))
        return self.of_logits(logits_BC, found.own_BC, found.masked_BC, batch.expected_C)

    def of_logits(self, logits_BC: Tensor, own_BC: Tensor, masked_BC: Tensor, expected_C: Tensor) -> Tensor:
        return multi_positive(correct_for_sampling(logits_BC, expected_C, self.strength), own_BC, masked_BC)


class CorrectedSoftmax(SampledSoftmax):
    """Sampled softmax whose positive stands apart from the sample: ``corrected_softmax_loss``."""

    def of_logits(self, logits_BC: Tensor, own_BC: Tensor, masked_BC: Tensor, expected_C: Tensor) -> Tensor:
        return corrected_softmax_loss(logits_BC, own_BC, masked_BC, expected_C, self.strength)
