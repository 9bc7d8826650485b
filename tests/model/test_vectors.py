import numpy as np
import polars as pl
import pytest

from recsys_tasks.errors import DataError
from recsys_tasks.model.vectors import TextVectors

IDS = pl.Series("item_id", ["mug", "stove", "tent"])
ROWS = np.array([[1, 0], [0, 1], [1, 1]], dtype=np.float32)


def test_vectors_are_found_by_item_in_the_order_asked():
    np.testing.assert_array_equal(TextVectors(IDS, ROWS).of(["tent", "mug", "tent"]), ROWS[[2, 0, 2]])


def test_an_item_without_a_vector_gets_zeros():
    np.testing.assert_array_equal(TextVectors(IDS, ROWS).of(pl.Series(["kayak", "mug"])), [[0, 0], [1, 0]])


def test_items_with_equal_texts_share_a_row():
    vectors = TextVectors(IDS, ROWS[:2], np.array([0, 1, 0]))
    np.testing.assert_array_equal(vectors.matrix, ROWS[[0, 1, 0]])
    np.testing.assert_array_equal(vectors.of(["tent"]), ROWS[:1])
    assert vectors.text_rows_of(["tent", "kayak"]).tolist() == [0, -1]


def test_saved_vectors_are_the_same(tmp_path):
    TextVectors(IDS, ROWS[:2], np.array([0, 1, 0])).save(tmp_path)
    loaded = TextVectors.load(tmp_path)
    assert loaded.item_ids.to_list() == IDS.to_list()
    np.testing.assert_array_equal(loaded.texts, ROWS[:2])
    np.testing.assert_array_equal(loaded.matrix, ROWS[[0, 1, 0]])


@pytest.mark.parametrize("ids", [["b", "a", "c"], ["a", "a", "b"], ["a", "b"]])
def test_ids_that_are_unsorted_repeated_or_too_few_are_refused(ids):
    with pytest.raises(DataError):
        TextVectors(pl.Series("item_id", ids), ROWS)
