import numpy as np
import pytest
import torch

from recsys_tasks.model.causal import CausalTower
from recsys_tasks.training.row_sums import RowSums
from recsys_tasks.training.tower_net import TorchViews, TowerNet, multi_positive_loss
from tests.training.test_history_views import plain_loss

NONE = float("-inf")
# Two views of three histories over four items, oldest first; what stands behind the last place means nothing.
CODES = [[0, 1, 2, 0], [3, 0, 0, 0], [2, 1, 0, 3], [1, 2, 0, 0], [3, 0, 3, 0], [0, 2, 1, 0]]
LAST = [2, 0, 3, 1, 2, 2]
USERS = [7, 8, 7]


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


def net_with_views():
    torch.manual_seed(0)
    net = TowerNet(
        dim=4,
        text_dim=3,
        bags=1,
        windows=0,
        attributes=[],
        similarity="dot",
        causal=CausalTower(4, max_length=5, layers=1, heads=2, dropout=0.0),
    )
    torch.nn.init.normal_(net.user_weight)
    torch.nn.init.normal_(net.user_bias)
    return net.double()


def read_one(net, items, codes, hidden, last):
    """The shopper behind one view, place by place: a masked item is a zero vector that keeps its place."""
    places = []
    for place in range(last + 1):
        item = items[codes[place]]
        places.append([0.0] * len(item) if place in hidden else list(item))
    with torch.no_grad():
        read = net.causal(torch.tensor([places], dtype=torch.float64))[0, last].tolist()
    weight, bias = net.user_weight.tolist(), net.user_bias.tolist()
    return [sum(read[i] * weight[i][k] for i in range(len(read))) + bias[k] for k in range(len(bias))]


@pytest.mark.parametrize(
    "hidden",
    [
        [{0}, {0}, {1, 3}, {1}, set(), {0, 2}],
        [{1}, set(), set(), set(), set(), set()],
        [set()] * 6,
    ],
    ids=["many", "one item of one view", "none"],
)
def test_the_loss_of_views_is_that_of_the_definition_and_a_masked_item_leaves_only_its_place(hidden):
    net = net_with_views()
    items = torch.tensor(np.random.default_rng(1).normal(size=(4, 4)))
    masked = [[place in one for place in range(4)] for one in hidden]
    views = TorchViews(
        codes=RowSums.single(np.ravel(CODES), len(items)),
        masked=torch.tensor(masked),
        last=torch.tensor(LAST),
        users=torch.tensor(USERS),
        weight=0.3,
        temperature=0.5,
    )
    read = [read_one(net, items.tolist(), *one) for one in zip(CODES, hidden, LAST, strict=True)]
    expected = 0.3 * plain_loss(read[:3], read[3:], USERS, 0.5)
    assert net.view_loss(views, items).item() == pytest.approx(expected, abs=1e-9)
