import math

import numpy as np
import pytest
import torch

from recsys_tasks.model.causal_users import LENGTH
from recsys_tasks.model.histories import Bags
from recsys_tasks.settings.augment import HistoryPolicy
from recsys_tasks.training.history_views import history_views, view_loss


def bags_of(*lists):
    offsets = np.concatenate([[0], np.cumsum([len(some) for some in lists])]).astype(np.int64)
    items = np.array([item for some in lists for item in some], dtype=np.int64)
    return Bags(offsets, items, np.ones((1, len(items)), np.float32))


def only(operation, strength):
    return HistoryPolicy(sub_policies=[[{"operation": operation, "strength": strength}]])


def plain_loss(first, second, users, temperature):
    """The definition with loops over Python numbers."""
    views, owners = [*first, *second], [*users, *users]
    count = len(users)

    def cosine(a, b):
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))

    total = 0.0
    for i, view in enumerate(views):
        other = (i + count) % (2 * count)
        right = math.exp(cosine(view, views[other]) / temperature)
        wrong = sum(
            math.exp(cosine(view, views[j]) / temperature) for j in range(2 * count) if owners[j] != owners[i]
        )
        total -= math.log(right / (right + wrong))
    return total / (2 * count)


@pytest.mark.parametrize("users", [[0, 1, 2, 3], [0, 1, 0, 2], [5, 5, 5, 5], [0]])
@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_the_loss_and_its_gradient_are_those_of_the_definition(users, temperature):
    rng = np.random.default_rng(len(users))
    first, second = rng.normal(size=(2, len(users), 3))
    tensors = [torch.tensor(part, requires_grad=True) for part in (first, second)]
    loss = view_loss(*tensors, torch.tensor(users), temperature)
    loss.backward()
    assert loss.item() == pytest.approx(plain_loss(first, second, users, temperature), abs=1e-9)
    step = 1e-6
    for part, tensor in zip((first, second), tensors, strict=True):
        for place in np.ndindex(part.shape):
            around = []
            for sign in (1, -1):
                part[place] += sign * step
                around.append(plain_loss(first, second, users, temperature))
                part[place] -= sign * step
            assert tensor.grad[place].item() == pytest.approx((around[0] - around[1]) / (2 * step), abs=1e-6)


def test_views_that_meet_and_keep_away_from_others_cost_nothing():
    axes = torch.eye(3)
    assert view_loss(axes, axes, torch.arange(3), 0.01).item() == pytest.approx(0.0, abs=1e-6)


def test_no_histories_cost_nothing():
    nothing = torch.zeros(0, 3, requires_grad=True)
    assert view_loss(nothing, nothing, torch.zeros(0, dtype=torch.long), 0.1).item() == 0.0


def test_a_history_has_two_views_and_one_item_has_none():
    bags = bags_of([1, 2, 3, 4], [9], [], [5, 6])
    views = history_views(bags, np.array([10, 11, 12, 13]), only("crop", 0.5), np.random.default_rng(0))
    assert views.users.tolist() == [10, 13]
    assert views.last.tolist() == [1, 0, 1, 0]
    seen = [row[: last + 1].tolist() for row, last in zip(views.codes, views.last, strict=True)]
    runs = ([1, 2], [2, 3], [3, 4])
    assert seen[0] in runs
    assert seen[2] in runs
    assert seen[1] in ([5], [6])


def test_only_the_newest_items_are_looked_at_and_nothing_stands_behind_the_end():
    long = list(range(100, 100 + LENGTH + 30))
    views = history_views(bags_of(long, [1, 2, 3]), np.arange(2), only("mask", 0.5), np.random.default_rng(0))
    assert views.codes.shape == views.masked.shape == (4, LENGTH)
    assert views.codes[0].tolist() == views.codes[2].tolist() == long[-LENGTH:]
    assert views.masked[0].sum() == LENGTH // 2
    assert not views.codes[1, 3:].any()
    assert not views.masked[1, 3:].any()


def test_the_two_views_are_drawn_apart():
    bags = bags_of(list(range(30)))
    views = history_views(bags, np.zeros(1, np.int64), only("reorder", 0.9), np.random.default_rng(0))
    assert views.codes[0].tolist() != views.codes[1].tolist()
