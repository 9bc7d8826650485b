import numpy as np
import pytest

from recsys_tasks.recommend import dense
from recsys_tasks.recommend.dense import best_columns, products_of


@pytest.mark.parametrize("k", [1, 3, 9, 20])
def test_the_best_columns_are_those_of_a_plain_sort(k):
    scores = np.round(np.random.default_rng(1).normal(size=(6, 9)), 1).astype(np.float32)
    rows = best_columns(scores, k)
    for row in range(len(scores)):
        order = np.argsort(-scores[row], kind="stable")
        expected = [int(column) for column in order if scores[row, column] > 0][:k]
        assert rows.item[rows.shopper == row].tolist() == expected


def test_ties_go_to_the_smaller_column_wherever_the_cut_falls():
    assert best_columns(np.float32([[1, 2, 1, 1]]), 2).item.tolist() == [1, 0]


def test_a_row_is_the_same_alone_and_among_others():
    rng = np.random.default_rng(2)
    left, right = rng.normal(size=(300, 40)).astype(np.float32), rng.normal(size=(40, 70)).astype(np.float32)
    blocks = list(products_of(left, right))
    assert [first for first, _ in blocks] == [0, dense.ROWS]
    whole = np.concatenate([block for _, block in blocks])
    assert whole == pytest.approx(left @ right, abs=1e-4)
    alone = [next(products_of(left[row : row + 1], right))[1][0] for row in range(len(left))]
    assert np.array_equal(np.stack(alone), whole)
