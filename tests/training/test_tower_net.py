import numpy as np
import pytest
import torch

from recsys_tasks.training.tower_net import multi_positive_loss, rows_of

NONE = float("-inf")


def test_the_loss_is_a_softmax_over_positives_and_negatives():
    positives, rows = torch.tensor([1.0, 2.0, 0.5]), torch.tensor([0, 0, 1])
    negatives = torch.tensor([[0.3, -1.0], [NONE, 4.0]])
    weights = torch.tensor([1.0, 3.0])
    by_hand = []
    for mine, others in (([1.0, 2.0], [0.3, -1.0]), ([0.5], [4.0])):
        total = np.log(np.exp(mine).sum() + np.exp(others).sum())
        by_hand.append(np.mean([total - s for s in mine]))
    expected = (by_hand[0] + 3 * by_hand[1]) / 4
    assert multi_positive_loss(positives, rows, negatives, weights).item() == pytest.approx(
        expected, abs=1e-6
    )


def test_large_logits_do_not_overflow():
    loss = multi_positive_loss(
        torch.tensor([500.0]), torch.tensor([0]), torch.tensor([[400.0, NONE]]), torch.ones(1)
    )
    assert loss.item() == pytest.approx(0.0)


def test_an_example_whose_negatives_are_all_masked_costs_nothing():
    loss = multi_positive_loss(
        torch.tensor([5.0]), torch.tensor([0]), torch.tensor([[NONE, NONE]]), torch.ones(1)
    )
    assert loss.item() == 0.0


def test_gradients_of_gathered_rows_add_up():
    table = torch.eye(3, requires_grad=True)
    rows_of(table, torch.tensor([2, 0, 2])).sum().backward()
    assert table.grad.tolist() == [[1, 1, 1], [0, 0, 0], [2, 2, 2]]
