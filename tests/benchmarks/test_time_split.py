"""Whole runs on the small shop, by the command line's own door."""

import json
from dataclasses import replace

import polars as pl
import pytest

from benchmarks import cold_items, night, systems, time_split
from benchmarks.isolated import Measured
from benchmarks.ours import steps_left_out
from benchmarks.scene import Scene
from benchmarks.systems import make, own_lists
from recsys_tasks.errors import MissingArtefact, TrainingFailed
from recsys_tasks.steps import recommend
from recsys_tasks.steps.champion import challenger_refs
from tests.benchmarks.shop import CUT

PLAIN = ("popularity-7", "repeat")


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """A process of its own for each row takes seconds; what it does is tested in test_isolated.py."""
    for module in (systems, night, cold_items):
        monkeypatch.setattr(
            module, "measured", lambda function, *given: Measured(function(*given), 1.0, 100.0)
        )


def told(file):
    rows = json.loads(file.read_text())
    return {(row["system"], row["split"], row["slice"], row["metric"]): row["value"] for row in rows}


def run(shop, home, out, *more: str) -> int:
    common = ["--shop", str(shop.file), "--home", str(home.folder.parent), "--out", str(out)]
    return time_split.main([*common, *more])


def test_two_cuts_of_plain_rows(shop, home, tmp_path, capsys):
    out = tmp_path / "out.json"
    assert run(shop, home, out, "--cuts", "2", "--horizons", "7", "14", "--systems", *PLAIN) == 0
    rows = told(out)
    assert rows["repeat", "test", "all", "NDCG@10"] > rows["popularity-7", "test", "all", "NDCG@10"]
    assert {split for _, split, _, _ in rows} >= {"test", "test/7d", "test/2026-03-31", "test/2026-03-31/7d"}
    assert (
        0 < rows["popularity-7", "test", "all", "coverage@10"] < rows["repeat", "test", "all", "coverage@10"]
    )
    scores = pl.read_parquet(tmp_path / "out.scores.parquet")
    ndcg = scores.filter(system="repeat", slice="all", horizon=14)["NDCG@10"].mean()
    assert rows["repeat", "test", "all", "NDCG@10"] == pytest.approx(ndcg, abs=1e-5)
    assert set(json.loads((tmp_path / "out.run.json").read_text())["cuts"]) == {"2026-03-07", "2026-03-31"}
    assert "NDCG@10" in capsys.readouterr().out


def failing(monkeypatch, failures):
    """``systems.make``, but for the rows in ``failures``: these raise at the cuts that are named."""

    def some(system, scene, users, night):
        failure = failures[system].get(str(scene.job.night)) if system in failures else None
        if failure is not None:
            raise failure
        # Stands in for a peer, whose fit takes longer.
        return replace(make("repeat", scene, users, night), system=system)

    monkeypatch.setattr(systems, "make", some)


def test_a_peer_that_cannot_run_at_one_cut_has_no_row_at_any_and_the_others_stand(
    shop, home, tmp_path, monkeypatch
):
    failing(monkeypatch, {"ease": {"2026-03-30": TrainingFailed("killed: too little memory?")}, "als": {}})
    out, asked = tmp_path / "out.json", ("repeat", "ease", "als")
    cuts = ("--cut", "2026-03-07", "--cut", "2026-03-31")
    assert run(shop, home, out, *cuts, "--horizons", "14", "--systems", *asked) == 0
    rows = json.loads(out.read_text())
    assert {row["system"] for row in rows} == {"repeat", "als"}
    assert len({row["cut"] for row in rows}) == 3
    told = json.loads((tmp_path / "out.run.json").read_text())
    assert told["left_out"] == {"ease": "killed: too little memory?"}


def test_a_run_that_makes_no_row_at_all_is_an_error_that_says_why(shop, home, tmp_path, monkeypatch, capsys):
    failing(
        monkeypatch, {"als": {"2026-03-16": MissingArtefact("als needs an environment: run `make bench`")}}
    )
    out = tmp_path / "out.json"
    assert run(shop, home, out, "--cut", "2026-03-17", "--horizons", "14", "--systems", "als") != 0
    assert "run `make bench`" in capsys.readouterr().err
    assert not out.exists()


def test_a_failure_of_the_products_own_rows_ends_the_run(shop, home, tmp_path, monkeypatch):
    failing(monkeypatch, {"repeat": {"2026-03-16": TrainingFailed("broken")}})
    out = tmp_path / "out.json"
    assert run(shop, home, out, "--cut", "2026-03-17", "--horizons", "14", "--systems", *PLAIN) != 0
    assert not out.exists()


@pytest.mark.slow
def test_ours_is_the_night_and_a_second_run_makes_nothing_again(shop, home, tmp_path):
    files = [tmp_path / "one.json", tmp_path / "two.json"]
    for file in files:
        assert (
            run(shop, home, file, "--cut", "2026-03-17", "--systems", "ours", "ours-tower", "popularity-7")
            == 0
        )
    rows = told(files[0])
    assert files[0].read_text() == files[1].read_text()
    assert rows["ours", "test", "all", "NDCG@10"] > rows["popularity-7", "test", "all", "NDCG@10"]
    assert ("ours - popularity-7", "test", "new", "NDCG@10") in rows
    seconds = {row["system"]: row["seconds"] for row in json.loads(files[0].read_text())}
    assert seconds["ours"] > seconds["ours-tower"] > seconds["popularity-7"] == 1.0


@pytest.mark.slow
def test_ours_lists_what_the_step_of_that_night_writes(home, tmp_path):
    at_home = home.settings.model_copy(update={"database": f"sqlite:///{tmp_path / 'serve.db'}"})
    job = replace(home.job(CUT), settings=at_home)
    refs = night.run_steps(job).refs
    job.store.migrate()
    job.store.record_decision(
        job.night.date, accepted=True, refs=refs, champion={}, metrics={}, why="for a test"
    )
    folder = job.workspace.at(recommend.run(job)["artefact"]).path
    written = pl.read_parquet(folder / "lists.parquet").sort("user_id", "rank")
    scene = Scene(job)
    asked = own_lists("ours", scene, scene.snapshot.events["user_id"].unique(), refs)["all"]
    columns = ["user_id", "rank", "item_id", "source"]
    assert written["rank"].max() == job.top_k
    assert asked.filter(pl.col("rank") <= job.top_k).select(columns).equals(written.select(columns))


@pytest.mark.parametrize(
    ("rows", "spared"),
    [
        (["ours", "ours-tower", "ours-text", "als"], set()),
        (["ours-tower", "ours-text", "popularity"], {"train_ranker"}),
        (["ours-text", "frozen-encoder"], {"train_towers", "train_ranker", "build_index", "refit_towers"}),
        (["popularity", "als"], set()),
    ],
)
def test_steps_that_no_row_needs_are_left_out(rows, spared):
    assert steps_left_out(rows) == spared


@pytest.mark.slow
def test_towers_alone_list_the_same_whether_a_ranker_was_fitted_or_not(home):
    job = home.job(CUT)
    whole = night.run_steps(job)
    assert whole.refs == challenger_refs(job)
    spared = night.run_steps(job, steps_left_out(["ours-tower"]))
    assert spared.refs == {name: ref for name, ref in whole.refs.items() if name != "ranker"}
    assert "train_ranker" not in spared.facts
    scene = Scene(job)
    users = scene.snapshot.events["user_id"].unique()
    one, other = (own_lists("ours-tower", scene, users, found.refs) for found in (whole, spared))
    assert all(one[target].equals(other[target]) for target in one)


@pytest.mark.slow
def test_cold_items_are_ranked_and_their_share_is_told(shop, home, tmp_path):
    out = tmp_path / "cold.json"
    common = ["--shop", str(shop.file), "--home", str(home.folder.parent), "--out", str(out)]
    assert (
        cold_items.main([*common, "--cut", "2026-03-17", "--folds", "4", "--systems", "ours", "popularity-7"])
        == 0
    )
    rows = told(out)
    found, chance = (rows[name, "test", "cold among cold", "Recall@10"] for name in ("ours", "popularity-7"))
    assert found > 2 * chance, "popularity knows nothing of items without history"
    assert rows["popularity-7", "test", "new", "share of impressions@10"] == 0
    assert 0.2 < rows["ours", "test", "new", "share of offer"] < 0.3
    assert ("ours - popularity-7", "test", "cold among all", "Recall@50") in rows


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (["--cut", "2027-01-01"], 3),
        (["--set", "towers.dimm=3"], 2),
        (["--systems", "ourz"], 2),
        (["--horizons", "0"], 2),
    ],
)
def test_what_cannot_be_run_is_refused_with_the_errors_code(shop, home, tmp_path, capsys, wrong, code):
    assert run(shop, home, tmp_path / "out.json", *wrong) == code
    assert {2: "SettingsError", 3: "NightOutOfRange"}[code] in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists()


def test_lists_that_were_made_are_found_again(home):
    scene, users = Scene(home.job(home.last.date())), pl.Series(["c0001", "c0002"])
    first, second = (make("repeat", scene, users, None) for _ in range(2))
    assert first.lists["all"].equals(second.lists["all"])
    assert first.seconds == second.seconds
    folder = home.folder / "lists" / str(scene.job.night)
    assert len(list(folder.glob("repeat-*"))) == 1
    make("repeat", scene, users.head(1), None)
    assert len(list(folder.glob("repeat-*"))) == 2
