import numpy as np
import pytest
import torch

from recsys_tasks.model.causal_users import LENGTH, causal_rows, causal_tower, recent
from recsys_tasks.model.histories import Bags

DIM = 4


def bags(*histories: list[int]) -> Bags:
    lengths = [len(some) for some in histories]
    items = np.array([item for some in histories for item in some], np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Bags(offsets, items, np.ones((1, len(items)), np.float32))


@pytest.fixture(scope="module")
def weights():
    torch.manual_seed(1)
    return {name: value.numpy().copy() for name, value in causal_tower(DIM).state_dict().items()}


def rows(weights, *histories: list[int]) -> np.ndarray:
    vectors = np.random.default_rng(1).normal(size=(200, DIM)).astype(np.float32)
    return causal_rows(weights, bags(*histories), vectors)


def test_the_last_items_are_read_oldest_first():
    codes, last = recent(bags([3, 1, 2], [], list(range(LENGTH + 20))))
    assert codes[0, :3].tolist() == [3, 1, 2]
    assert not codes[0, 3:].any()
    assert not codes[1].any()
    assert codes[2].tolist() == list(range(20, LENGTH + 20))
    assert last.tolist() == [2, 0, LENGTH - 1]


def test_a_shopper_does_not_depend_on_the_others(weights):
    together = rows(weights, [3, 1, 2], [5], [7, 8, 9, 10])
    assert rows(weights, [5])[0] == pytest.approx(together[1], abs=1e-5)
    assert rows(weights, [7, 8, 9, 10])[0] == pytest.approx(together[2], abs=1e-5)


def test_the_order_of_the_history_counts(weights):
    one, other = rows(weights, [3, 1, 2], [1, 3, 2])
    assert not np.allclose(one, other, atol=1e-3)


def test_what_lies_before_the_last_items_is_forgotten(weights):
    late = list(range(LENGTH))
    assert rows(weights, [150, 160, *late])[0] == pytest.approx(rows(weights, late)[0], abs=1e-5)


def test_nobody_asked_is_no_row(weights):
    assert rows(weights).shape == (0, DIM)
