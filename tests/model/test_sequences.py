import numpy as np
import pytest

from recsys_tasks.errors import DataError
from recsys_tasks.model.sequence_terms import near_items, near_scores, text_scores
from recsys_tasks.model.sequences import Sequences


def lists(sequences: Sequences) -> list[list[int]]:
    return [sequences[row].tolist() for row in range(len(sequences))]


def test_parts_of_sequences():
    sequences = Sequences.of([[1, 2, 3], [], [4]])
    assert lists(sequences.last(2)) == [[2, 3], [], [4]]
    assert lists(sequences.rows(np.array([2, 0]))) == [[4], [1, 2, 3]]
    assert lists(sequences.without(np.array([False, False, True, False, True]))) == [[1, 3], [], []]
    assert sequences.counts(6).tolist() == [0, 1, 1, 1, 1, 0]


def test_an_item_met_twice_counts_with_its_newest_place():
    decayed = Sequences.of([[2, 0, 2, 1], []]).matrix(3, decay=0.5).toarray()
    assert decayed.tolist() == [[0.25, 1.0, 0.5], [0, 0, 0]]


def test_offsets_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="rise from 0 to 2"):
        Sequences(np.array([1, 2]), np.array([0, 3]))


def test_neighbours_are_what_plain_loops_count():
    sequences = Sequences.of([[0, 1, 2], [1, 0], [2, 2, 1]])
    expected = np.zeros((3, 3))
    for row in range(3):
        some = sequences[row]
        for first in range(len(some)):
            for second in range(first + 1, len(some)):
                worth = 0.7 ** (second - first - 1)
                expected[some[first], some[second]] += worth
                expected[some[second], some[first]] += 0.5 * worth
    counts = sequences.counts(3)
    expected /= counts[:, None] ** 0.7 * counts[None, :] ** 0.3
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(near_items(sequences, 3).toarray(), expected, rtol=1e-5)


def test_terms_are_at_most_one_and_nothing_for_an_empty_history():
    sequences = Sequences.of([[0, 1], [1, 2], []])
    near = near_scores(sequences, near_items(sequences, 3))
    text = text_scores(sequences, np.eye(3, dtype=np.float32))
    for term in (near, text):
        assert term[:2].max(axis=1).tolist() == [1.0, 1.0]
        assert not term[2].any()
