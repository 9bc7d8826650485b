import numpy as np
import pytest

from recsys_tasks.model.cold import BLOCK, NEIGHBOURS, TEMPERATURE, borrow, distinct_rows, largest, mean_by


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_equal_rows_share_a_code():
    first, code = distinct_rows(np.float32([[1, 2], [3, 4], [1, 2], [5, 6]]))
    assert first.tolist() == [0, 1, 3]
    assert code.tolist() == [0, 1, 0, 2]


def test_the_mean_of_each_group():
    means = mean_by(np.array([1, 0, 1]), 2, np.float32([[2, 0], [9, 9], [4, 2]]))
    assert means.tolist() == [[9, 9], [3, 1]]


def test_what_is_borrowed_follows_its_definition():
    rng = np.random.default_rng(1)
    text, warm_text = unit(rng.normal(size=(5, 6))), unit(rng.normal(size=(50, 6)))
    warm_ids = rng.normal(size=(50, 3)).astype(np.float32)
    for row, borrowed in zip(text, borrow(text, warm_text, warm_ids), strict=True):
        nearest = sorted(range(50), key=lambda i: -float(row @ warm_text[i]))[:NEIGHBOURS]
        weights = [np.exp(float(row @ warm_text[i]) / TEMPERATURE) for i in nearest]
        expected = sum(w * warm_ids[i] for w, i in zip(weights, nearest, strict=True)) / sum(weights)
        assert borrowed == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("columns", [3, BLOCK * 3, BLOCK * 9 + 5, 2000])
@pytest.mark.parametrize("levels", [4, 1000])
def test_the_largest_are_those_of_a_plain_sort(columns, levels):
    # Few levels: many ties, of which those further left count.
    values = np.random.default_rng(columns).integers(0, levels, (40, columns)).astype(np.float32)
    by_hand = [sorted(sorted(range(columns), key=lambda c: (-row[c], c))[:3]) for row in values]
    assert largest(values, 3).tolist() == by_hand


def test_an_item_without_text_borrows_nothing():
    borrowed = borrow(np.zeros((1, 4), np.float32), unit(np.ones((2, 4))), np.ones((2, 3), np.float32))
    assert not borrowed.any()


def test_fewer_warm_texts_than_neighbours():
    warm_ids = np.float32([[1, 0], [1, 0]])
    borrowed = borrow(unit(np.ones((1, 4))), unit(np.ones((2, 4))), warm_ids)
    assert borrowed[0] == pytest.approx([1, 0])


def test_nothing_warm_nothing_borrowed():
    borrowed = borrow(unit(np.ones((1, 4))), np.zeros((0, 4), np.float32), np.zeros((0, 3), np.float32))
    assert borrowed.shape == (1, 3)
    assert not borrowed.any()
