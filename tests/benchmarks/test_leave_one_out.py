import json

import numpy as np
import polars as pl
import pytest

from benchmarks import leave_one_out
from benchmarks.sequences import cold, figures, systems
from benchmarks.sequences.task import Asked, merged, read_task
from benchmarks.sequences.texts import item_texts, text_from
from recsys_tasks.errors import DataError, EmptyPartition, SchemaMismatch
from recsys_tasks.model.sequence_settings import SequenceSettings
from recsys_tasks.model.sequences import Sequences

NO_ITEMS = pl.DataFrame({"item_id": [], "text": []}, schema={"item_id": pl.String, "text": pl.String})


def listed(*sequences: list[int]) -> pl.DataFrame:
    return pl.DataFrame({"user_id": range(len(sequences)), "item_ids": list(sequences)})


def split_rows(*rows: tuple[str, int, str, list[int], int]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["split", "row", "user_id", "history_item_ids", "item_id"], orient="row")


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
        (split_rows(("holdout", 0, "ann", [1], 2)), DataError, "split 'holdout'; known: train, valid, test"),
        (split_rows(("test", 0, "ann", [1], 2)), EmptyPartition, "choosing needs rows of split valid"),
        (split_rows(("valid", 0, "ann", [1], 2)), EmptyPartition, "no row of split test"),
    ],
    ids=["no form", "no lists", "short", "split", "no valid", "no test"],
)
def test_a_file_that_cannot_be_scored_is_refused(frame, error, message):
    with pytest.raises(error, match=message):
        read_task(frame, NO_ITEMS)


def test_items_without_ids_are_refused():
    with pytest.raises(SchemaMismatch, match="lacks item_id; it has title"):
        item_texts(pl.DataFrame({"title": ["tent"]}))


def test_figures_of_one_target_a_row():
    lists = np.array([[4, 5, 6, 7, 8, 9], [9, 8, 7, 6, 5, 4], [1, 2, 3, -1, -1, -1]])
    found = figures.accuracy(lists, np.array([5, 4, 9]))
    hit = [[1, 1, 1], [0, 1, 1], [0, 0, 0]]
    gain = [[1 / np.log2(3)] * 3, [0, 1 / np.log2(7), 1 / np.log2(7)], [0, 0, 0]]
    np.testing.assert_allclose(found, np.concatenate([hit, gain], axis=1))


def test_cold_items_are_in_no_history_and_are_every_target():
    task = read_task(listed(*([k, k + 1, k + 2, k + 3] for k in range(60))), NO_ITEMS)
    hidden = cold.held_out(len(task.item_ids))
    asked = cold.cold_rows(task.test, hidden)
    assert len(asked)
    assert hidden[asked.targets].all()
    assert not hidden[asked.histories.items].any()
    assert (asked.histories.lengths > 0).all()


class Fixed:
    """A peer that lists every item by code and leaves out what it knows of a shopper."""

    name, chosen, reads = "fixed", {}, False

    def fit(self, log) -> None:
        self.log = log

    def top(self, users: pl.Series, k: int, new_only: bool) -> pl.DataFrame:
        frames = []
        for user in users:
            own = set(self.log.items.filter(self.log.users == user)) if new_only else set()
            some = [item for item in self.log.items_offered if item not in own][:k]
            frames.append(pl.DataFrame({"user_id": user, "rank": range(1, len(some) + 1), "item_id": some}))
        return pl.concat(frames)


@pytest.mark.parametrize("reads", [False, True])
def test_a_peers_list_for_a_later_row_holds_nothing_of_that_rows_history(monkeypatch, reads):
    monkeypatch.setattr(Fixed, "reads", reads)
    monkeypatch.setitem(systems.PEERS, "fixed", Fixed)
    rows = split_rows(
        ("valid", 0, "ann", [1, 2], 3),
        ("test", 1, "ann", [2, 3], 4),
        ("test", 2, "ann", [2, 3, 4], 5),
        ("test", 3, "bob", [5], 4),
    )
    task = read_task(rows, NO_ITEMS)
    lists = systems.peer(task, "fixed")["fixed"].lists
    new = [[task.item_ids[int(code)] for code in row if code >= 0] for row in lists["test", False]]
    assert new == [["4", "5"], ["1", "5"] if reads else ["5"], ["1", "2", "3", "4"]]
    assert [len(set(row) - {-1}) for row in lists["test", True].tolist()] == [5, 5, 5]


def test_what_later_rows_add_is_read_by_peers_and_not_learned_from():
    rows = split_rows(
        ("valid", 0, "ann", [1, 2], 3),
        ("test", 1, "ann", [2, 3], 4),
        ("test", 2, "ann", [2, 3, 4], 5),
    )
    task = read_task(rows, NO_ITEMS)
    names = systems.answered_as(task.test)
    log = systems.log_of(task.refit, task.test, names, task.item_ids)
    assert names.to_list() == ["ann", "ann\n1"]
    assert (log.learned().users.to_list(), log.learned().items.to_list()) == (["ann"] * 3, ["1", "2", "3"])
    assert (log.only_read().users.to_list(), log.only_read().items.to_list()) == (
        ["ann\n1"] * 3,
        ["2", "3", "4"],
    )


@pytest.fixture
def quick(monkeypatch):
    """Everything in this process, one small tower of each kind, and no encoder."""
    small = SequenceSettings(dim=8, max_looks=1)
    towers = (small, small.model_copy(update={"user": "transformer"}))

    class Done:
        def __init__(self, result) -> None:
            self.result, self.seconds, self.peak_mb = result, 1.0, 10.0

    def vectors(texts: list[str]):
        rows = np.eye(8, dtype=np.float32)[np.arange(len(texts)) % 8]
        return rows, rows

    monkeypatch.setattr(leave_one_out, "measured", lambda function, *arguments: Done(function(*arguments)))
    monkeypatch.setattr(leave_one_out, "encoded", vectors)
    monkeypatch.setattr(systems, "CHOSEN_WITH", towers)
    monkeypatch.setattr(systems, "TOWERS", towers * 2)
    monkeypatch.setattr(cold, "CHOSEN_WITH", towers)
    monkeypatch.setattr(cold, "FOLDS", 3)


def walks(n: int = 40) -> list[list[int]]:
    rng = np.random.default_rng(0)
    return [rng.permutation(30)[: rng.integers(2, 9)].tolist() for _ in range(n)]


def test_the_json_holds_every_row_with_its_interval(quick, tmp_path, monkeypatch):
    monkeypatch.setitem(systems.PEERS, "item-knn", Fixed)
    listed(*walks()).write_parquet(tmp_path / "sequences.parquet")
    pl.DataFrame({"item_id": range(35), "title": ["tent"] * 35}).write_parquet(tmp_path / "items.parquet")
    out = tmp_path / "out.json"
    asked = "popularity frozen-encoder ours-text item-knn ours-tower ours".split()
    files = ["--sequences", str(tmp_path / "sequences.parquet"), "--items", str(tmp_path / "items.parquet")]
    assert leave_one_out.main([*files, "--out", str(out), "--systems", *asked]) == 0
    rows = json.loads(out.read_text())
    keys = [(row["system"], row["split"], row["slice"], row["metric"]) for row in rows]
    assert len(set(keys)) == len(keys)
    for metric in ("HR@5", "HR@10", "HR@20", "NDCG@5", "NDCG@10", "NDCG@20"):
        for system in asked:
            for split, name in (("test", "all"), ("test", "all/seen-kept"), ("valid", "all")):
                assert (system, split, name, metric) in keys
    for name in ("cold/among-all", "cold/among-cold"):
        assert ("ours", "test", name, "Recall@50") in keys
    assert ("ours - item-knn", "test", "all", "NDCG@10") in keys
    for row in rows:
        assert row["ci_low"] <= row["value"] <= row["ci_high"]
        assert row["seconds"] >= 0
        assert row["peak_mb"] > 0
    chosen = json.loads(out.with_suffix(".chosen.json").read_text())
    assert len(chosen["ours"]["epochs"]) == 2


def test_a_row_that_was_not_asked_is_in_no_cold_slice(quick, tmp_path):
    listed(*walks()).write_parquet(tmp_path / "sequences.parquet")
    pl.DataFrame({"item_id": range(35), "title": ["tent"] * 35}).write_parquet(tmp_path / "items.parquet")
    out = tmp_path / "out.json"
    files = ["--sequences", str(tmp_path / "sequences.parquet"), "--items", str(tmp_path / "items.parquet")]
    assert leave_one_out.main([*files, "--out", str(out), "--systems", "ours-text", "ours"]) == 0
    rows = [row for row in json.loads(out.read_text()) if row["slice"].startswith("cold/")]
    assert not [row["system"] for row in rows if "frozen-encoder" in row["system"]]
    assert {"ours", "ours-text", "ours - ours-text"} <= {row["system"] for row in rows}


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


def test_faults_are_told_in_a_line(tmp_path, capsys):
    (tmp_path / "no.parquet").write_text("no parquet")
    file = str(tmp_path / "no.parquet")
    arguments = ["--sequences", file, "--items", file, "--out", str(tmp_path / "out.json")]
    assert leave_one_out.main(arguments) == 3
    assert "no.parquet is no readable Parquet file" in capsys.readouterr().err
    listed([1, 2, 3]).write_parquet(file)
    pl.DataFrame({"item_id": [1]}).write_parquet(tmp_path / "items.parquet")
    arguments = [
        "--sequences",
        file,
        "--items",
        str(tmp_path / "items.parquet"),
        "--out",
        str(tmp_path / "o.json"),
    ]
    assert leave_one_out.main([*arguments, "--systems", "ours", "bert"]) == 2
    assert "--systems bert: no such row; known: popularity" in capsys.readouterr().err
