"""Each loss against its definition, written with plain loops."""

import math

import pytest
import torch

from recsys_tasks.model.losses import correct_for_sampling, info_nce, multi_positive


def random_masks(rows, columns, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, columns, generator=generator)
    positives = torch.rand(rows, columns, generator=generator) < 0.3
    masked = torch.rand(rows, columns, generator=generator) < 0.2
    return logits, positives, masked


def multi_positive_by_hand(logits, positives, masked):
    losses = []
    for row in range(len(logits)):
        open_columns = [c for c in range(logits.shape[1]) if not masked[row, c]]
        wanted = [c for c in open_columns if positives[row, c]]
        if not wanted:
            continue
        total = sum(math.exp(logits[row, c]) for c in open_columns)
        losses.append(-sum(math.log(math.exp(logits[row, c]) / total) for c in wanted) / len(wanted))
    return sum(losses) / max(1, len(losses))


@pytest.mark.parametrize("seed", range(5))
def test_multi_positive_equals_its_definition(seed):
    logits, positives, masked = random_masks(6, 9, seed)
    expected = multi_positive_by_hand(logits, positives, masked)
    assert multi_positive(logits, positives, masked).item() == pytest.approx(expected, rel=1e-5)


def test_rows_without_a_positive_count_as_nothing():
    logits = torch.randn(2, 3, requires_grad=True)
    loss = multi_positive(logits, torch.zeros(2, 3, dtype=torch.bool), torch.zeros(2, 3, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0.0
    assert not logits.grad.any()


def test_a_masked_candidate_gets_no_gradient():
    logits, positives, masked = random_masks(6, 9, seed=1)
    logits.requires_grad_()
    multi_positive(logits, positives, masked).backward()
    assert not logits.grad[masked].any()
    assert logits.grad[~masked].any()


def info_nce_by_hand(anchors, positives, negatives, temperature, masked):
    def cosine(a, b):
        return float(a @ b / (a.norm() * b.norm()))

    losses = []
    candidates = [*positives, *negatives]
    for i, anchor in enumerate(anchors):
        own = math.exp(cosine(anchor, positives[i]) / temperature)
        rest = sum(
            math.exp(cosine(anchor, candidate) / temperature)
            for c, candidate in enumerate(candidates)
            if c != i and not masked[i, c]
        )
        losses.append(-math.log(own / (own + rest)))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("sampled", [0, 3])
def test_info_nce_equals_its_definition_with_duplicates_and_own_items_masked(sampled):
    generator = torch.Generator().manual_seed(3)
    anchors, positives = torch.randn(2, 4, 8, generator=generator)
    negatives = torch.randn(sampled, 8, generator=generator)
    masked = torch.rand(4, 4 + sampled, generator=generator) < 0.3
    expected = info_nce_by_hand(anchors, positives, negatives, 0.2, masked)
    assert info_nce(anchors, positives, negatives, 0.2, masked).item() == pytest.approx(expected, rel=1e-5)


def test_info_nce_never_masks_an_anchors_own_positive():
    anchors, positives = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(4))
    everything = torch.ones(3, 3, dtype=torch.bool)
    assert info_nce(anchors, positives, anchors[:0], 0.1, everything).item() == pytest.approx(0.0, abs=1e-6)


def test_the_sampling_correction_makes_a_sampled_softmax_right_on_average():
    """E[sum over the sample of exp(z - log q)] is the full sum: what logQ is for."""
    logits = torch.tensor([[1.0, 0.0, -1.0, 2.0]])
    chance = torch.tensor([0.9, 0.5, 0.2, 0.7])
    corrected = correct_for_sampling(logits, chance).exp()
    assert (corrected * chance).sum().item() == pytest.approx(logits.exp().sum().item(), rel=1e-6)
