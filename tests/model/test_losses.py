"""Each loss against its definition, written with plain loops."""

import math

import pytest
import torch

from recsys_tasks.model.losses import correct_for_sampling, multi_positive, worth_of


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


def test_the_sampling_correction_makes_a_sampled_softmax_right_on_average():
    """E[sum over the sample of exp(z - log q)] is the full sum: what logQ is for."""
    logits = torch.tensor([[1.0, 0.0, -1.0, 2.0]])
    chance = torch.tensor([0.9, 0.5, 0.2, 0.7])
    corrected = correct_for_sampling(logits, chance).exp()
    assert (corrected * chance).sum().item() == pytest.approx(logits.exp().sum().item(), rel=1e-6)


def test_the_strength_of_the_correction_is_a_share_of_the_log():
    logits, expected = torch.zeros(1, 2), torch.tensor([0.25, 1.0])
    assert correct_for_sampling(logits, expected, 0.5)[0].tolist() == pytest.approx([math.log(2.0), 0.0])


def test_each_window_counts_by_its_gain():
    generator = torch.Generator().manual_seed(0)
    popularity = torch.rand(4, 50, 3, generator=generator)
    gains = torch.tensor([0.5, -1.0, 2.0], requires_grad=True)
    told = torch.rand(4, 50, generator=generator)
    worth = worth_of(popularity, gains)
    torch.testing.assert_close(worth, popularity @ gains)
    (worth * told).sum().backward()
    torch.testing.assert_close(gains.grad, torch.einsum("tkw,tk->w", popularity, told))
