import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file

from recsys_tasks.errors import DataError
from recsys_tasks.model.similarity import Sides
from recsys_tasks.model.vectors import VECTORS, TextVectors

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


def test_by_default_an_item_asks_with_the_vector_it_is_offered_as(tmp_path):
    asked, offered = TextVectors(IDS, ROWS).sides_of(["tent", "kayak"])
    assert asked is offered
    assert asked.tolist() == [[1, 1], [0, 0]]
    TextVectors(IDS, ROWS).save(tmp_path)
    assert set(load_file(tmp_path / VECTORS)) == {"texts"}


def test_both_sides_are_found_by_item_and_come_back_from_disk(tmp_path):
    sides = Sides(np.float32([[1, 2, 3], [4, 5, 6]]), np.float32([[7, 8, 9], [10, 11, 12]]))
    TextVectors(IDS, ROWS[:2], np.array([0, 1, 0]), sides).save(tmp_path)
    found = TextVectors.load(tmp_path).sides_of(["tent", "kayak", "stove"])
    assert found.asked.tolist() == [[1, 2, 3], [0, 0, 0], [4, 5, 6]]
    assert found.offered.tolist() == [[7, 8, 9], [0, 0, 0], [10, 11, 12]]


def test_sides_of_other_texts_are_refused():
    with pytest.raises(DataError, match="3 texts have 3 and 2 rows"):
        TextVectors(IDS, ROWS, sides=Sides(ROWS, ROWS[:2]))


@pytest.mark.parametrize("ids", [["b", "a", "c"], ["a", "a", "b"], ["a", "b"]])
def test_ids_that_are_unsorted_repeated_or_too_few_are_refused(ids):
    with pytest.raises(DataError):
        TextVectors(pl.Series("item_id", ids), ROWS)
