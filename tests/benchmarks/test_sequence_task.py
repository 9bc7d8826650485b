"""What is learned from, and what is asked, in a file of sequences; what its items read like."""

import polars as pl
import pytest

from benchmarks.sequences.task import Asked, merged, read_task
from benchmarks.sequences.texts import item_texts, text_from
from recsys_tasks.errors import DataError, EmptyPartition, SchemaMismatch
from recsys_tasks.model.sequences import Sequences
from tests.benchmarks.sequence_files import NO_ITEMS, listed, split_rows, walks


def named(task, sequences: Sequences) -> list[list[str]]:
    return [task.item_ids.gather(sequences[row]).to_list() for row in range(len(sequences))]


def targets(task, asked: Asked) -> list[str]:
    return task.item_ids.gather(asked.targets).to_list()


def test_of_a_list_the_last_item_is_the_test_and_the_one_before_the_validation():
    task = read_task(listed([10, 11, 12, 13], [20, 21], [30, 31, 32]), NO_ITEMS)
    assert named(task, task.train.sequences) == [["10", "11"], ["20", "21"], ["30"]]
    assert named(task, task.refit.sequences) == [["10", "11", "12"], ["20", "21"], ["30", "31"]]
    assert (targets(task, task.valid), targets(task, task.test)) == (["12", "31"], ["13", "32"])
    assert named(task, task.valid.histories) == [["10", "11"], ["30"]]
    assert named(task, task.test.histories) == [["10", "11", "12"], ["30", "31"]]


def test_of_rows_no_test_target_is_learned_and_no_valid_target_while_choosing():
    rows = split_rows(
        ("valid", 0, "ann", [1, 2], 3),
        ("valid", 1, "ann", [1, 2, 3], 4),
        ("test", 2, "ann", [3, 4], 90),
        ("test", 3, "ann", [3, 4, 90], 91),
        ("test", 4, "bob", [7], 92),
    )
    task = read_task(rows, NO_ITEMS)
    assert named(task, task.train.sequences) == [["1", "2"]]
    assert named(task, task.refit.sequences) == [["1", "2", "3", "4"], ["7"]]
    assert targets(task, task.test) == ["90", "91", "92"]
    assert named(task, task.test.histories)[1] == ["3", "4", "90"]
    assert task.test.first.tolist() == [True, False, True]


def test_train_rows_are_learned_whole():
    rows = split_rows(
        ("train", 0, "ann", [1], 2),
        ("train", 1, "ann", [1, 2], 3),
        ("valid", 2, "ann", [2, 3], 4),
        ("test", 3, "ann", [3, 4], 5),
    )
    task = read_task(rows, NO_ITEMS)
    assert named(task, task.train.sequences) == [["1", "2", "3"]]
    assert named(task, task.refit.sequences) == [["1", "2", "3", "4"]]


@pytest.mark.parametrize(
    ("why", "pieces", "expected"),
    [
        ("a piece goes on", [[1, 2], [2, 3, 4]], [[1, 2, 3, 4]]),
        ("a piece lies within", [[1, 2, 3], [2, 3]], [[1, 2, 3]]),
        ("nothing shared", [[1, 2], [8, 9]], [[1, 2], [8, 9]]),
        ("an empty piece", [[], [1, 2], []], [[1, 2]]),
        ("the longest overlap counts", [[1, 1], [1, 1, 2]], [[1, 1, 2]]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_pieces_become_one_sequence_when(why, pieces, expected):
    learned = merged(("ann", piece) for piece in pieces)
    assert [learned.sequences[row].tolist() for row in range(len(learned.sequences))] == expected


def test_items_of_either_file_are_in_the_catalogue_and_ids_of_any_type_meet():
    items = item_texts(pl.DataFrame({"item_id": [11, 99], "title": ["tent", None]}))
    task = read_task(listed([10, 11, 12]).cast({"item_ids": pl.List(pl.Float64)}), items)
    assert task.item_ids.to_list() == ["10", "11", "12", "99"]
    assert task.texts == ["", "tent", "", ""]


def test_text_columns_are_joined_in_order_and_cleaned():
    items = pl.DataFrame(
        {
            "item_id": ["a", "a"],
            "title": ["<b>Tent</b> &amp; pegs", "later row"],
            "price": [3.5, 1.0],
            "categories": [["camp", None, "sleep"], []],
            "description": ["['One.', 'Two.']", ""],
            "brand": [None, "x"],
        }
    )
    assert item_texts(items).rows() == [("a", "Tent & pegs. camp, sleep. One., Two.")]


def test_a_long_field_does_not_push_out_the_next():
    assert text_from(["word " * 1000, "brand"]).endswith("brand")


@pytest.mark.parametrize(
    ("frame", "error", "message"),
    [
        (pl.DataFrame({"user": [1]}), SchemaMismatch, "has user; give user_id, item_ids or split, row"),
        (pl.DataFrame({"user_id": [1], "item_ids": ["1 2 3"]}), SchemaMismatch, "item_ids must hold lists"),
        (listed([1, 2]), EmptyPartition, "no shopper has 3 or more items"),
        (
            pl.DataFrame({"user_id": ["ann", None, None], "item_ids": [[1, 2, 3]] * 3}),
            DataError,
            "2 rows without user_id, the first of them row 1",
        ),
        (split_rows(("holdout", 0, "ann", [1], 2)), DataError, "split 'holdout'; known: train, valid, test"),
        (split_rows(("test", 0, "ann", [1], 2)), EmptyPartition, "choosing needs rows of split valid"),
        (split_rows(("valid", 0, "ann", [1], 2)), EmptyPartition, "no row of split test"),
    ],
    ids=["no form", "no lists", "short", "nobody", "split", "no valid", "no test"],
)
def test_a_file_that_cannot_be_scored_is_refused(frame, error, message):
    with pytest.raises(error, match=message):
        read_task(frame, NO_ITEMS)


def test_items_without_ids_are_refused():
    with pytest.raises(SchemaMismatch, match="lacks item_id; it has title"):
        item_texts(pl.DataFrame({"title": ["tent"]}))


@pytest.mark.parametrize("form", ["lists", "rows"])
def test_a_planted_test_target_is_in_no_sequence_that_is_learned(form):
    planted = 777
    if form == "lists":
        frame = listed(*([*walk, planted] for walk in walks() if planted not in walk))
    else:
        frame = split_rows(
            *(("valid", k, f"u{k}", walk[:-1], walk[-1]) for k, walk in enumerate(walks())),
            *(("test", 100 + k, f"u{k}", walk, planted) for k, walk in enumerate(walks())),
            *(("test", 200 + k, f"u{k}", [*walk, planted], planted) for k, walk in enumerate(walks())),
        )
    task = read_task(frame, NO_ITEMS)
    code = task.item_ids.to_list().index(str(planted))
    assert code in task.test.targets
    for learned in (task.train, task.refit):
        assert code not in learned.sequences.items
