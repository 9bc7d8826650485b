"""
Contrastive losses.

Shapes: B anchors, C candidates, D dimensions. Masks are boolean; a masked candidate takes no part at all.
"""

from torch import Tensor
from torch.nn import functional

HIDDEN = -1e9


def worth_of(popularity: Tensor, gains: Tensor) -> Tensor:
    """
    ``popularity`` (..., W) by what each of its W windows is worth, (W,): (...).

    Not a product of matrices: the gradient of the gains would be a long sum into W numbers, which MKL's threads share
    out in another order from run to run, and two fits of one night would differ in the last digit.
    """
    return (popularity * gains).sum(dim=-1)


def multi_positive(logits_BC: Tensor, positives_BC: Tensor, masked_BC: Tensor) -> Tensor:
    """
    InfoNCE with any number of positives in one softmax: the mean over rows of -mean_p log softmax(logits)_p.

    A row whose positives are all masked (or that has none) counts as nothing; if no row has one, the loss is zero.
    With one positive a row this is InfoNCE (van den Oord et al. 2018, arXiv 1807.03748); with several it is the
    outer form of Khosla et al. 2020 (arXiv 2004.11362), without the anchor itself.
    """
    per_row, rows = multi_positive_sums(logits_BC, positives_BC, masked_BC)
    return per_row.sum() / rows.clamp(min=1)


def multi_positive_sums(logits_BC: Tensor, positives_BC: Tensor, masked_BC: Tensor) -> tuple[Tensor, Tensor]:
    """The loss of each row (0 where a row has no positive), (B,), and how many rows have one."""
    wanted_BC = positives_BC & ~masked_BC
    log_share_BC = functional.log_softmax(logits_BC.masked_fill(masked_BC, HIDDEN), dim=1)
    count_B = wanted_BC.sum(dim=1)
    per_row = -log_share_BC.masked_fill(~wanted_BC, 0.0).sum(dim=1) / count_B.clamp(min=1)
    return per_row, (count_B > 0).sum()


def correct_for_sampling(logits_BC: Tensor, expected_C: Tensor, strength: float = 1.0) -> Tensor:
    """
    logQ correction: logits minus ``strength`` times the log of how often each candidate is expected among them.

    Without it a candidate that is sampled often counts as a negative too often and is pushed away for being popular
    (Bengio and Senecal 2008; Yi et al. 2019). Candidates that are always there have an expectation of 1.
    """
    return logits_BC - strength * expected_C.clamp(min=1e-12).log()
