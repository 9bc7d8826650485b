"""Figures, the rows of peers, and the whole run over a file of sequences."""

import json

import numpy as np
import polars as pl
import pytest

from benchmarks import leave_one_out
from benchmarks.sequences import cold, figures, systems
from benchmarks.sequences.task import read_task
from recsys_tasks.model.sequence_settings import SequenceSettings
from tests.benchmarks.sequence_files import NO_ITEMS, listed, split_rows, walks


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


def test_the_json_holds_every_row_with_its_interval_and_the_tables_are_printed(
    quick, tmp_path, monkeypatch, capsys
):
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
    printed = capsys.readouterr().out
    ours = rows[keys.index(("ours", "test", "all", "HR@5"))]
    assert f"| **ours** | {ours['value']:.4f} |".replace("0.", ".") in printed
    assert 'test, "cold/among-all"' in printed
    assert "- item-knn" not in printed


def test_a_row_that_was_not_asked_is_in_no_cold_slice(quick, tmp_path):
    listed(*walks()).write_parquet(tmp_path / "sequences.parquet")
    pl.DataFrame({"item_id": range(35), "title": ["tent"] * 35}).write_parquet(tmp_path / "items.parquet")
    out = tmp_path / "out.json"
    files = ["--sequences", str(tmp_path / "sequences.parquet"), "--items", str(tmp_path / "items.parquet")]
    assert leave_one_out.main([*files, "--out", str(out), "--systems", "ours-text", "ours"]) == 0
    rows = [row for row in json.loads(out.read_text()) if row["slice"].startswith("cold/")]
    assert not [row["system"] for row in rows if "frozen-encoder" in row["system"]]
    assert {"ours", "ours-text", "ours - ours-text"} <= {row["system"] for row in rows}


@pytest.mark.parametrize("name", ["ours", "item-knn", "ease"])
def test_the_test_targets_decide_nothing(quick, name):
    """Two files that differ in the last item of each list alone: what is chosen and listed is the same."""
    one, other = (
        read_task(listed(*([*walk, (k + shift) % 30] for k, walk in enumerate(walks()))), NO_ITEMS)
        for shift in (0, 7)
    )
    assert one.item_ids.equals(other.item_ids)
    assert (one.test.targets != other.test.targets).all()
    text = np.eye(8, dtype=np.float32)[np.arange(len(one.item_ids)) % 8]
    made, again = (
        systems.ours(task, text)["ours"] if name == "ours" else systems.peer(task, name)[name]
        for task in (one, other)
    )
    assert made.chosen == again.chosen
    for key, lists in made.lists.items():
        assert np.array_equal(lists, again.lists[key]), key


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
