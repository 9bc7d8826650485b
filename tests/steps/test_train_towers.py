from dataclasses import replace

import polars as pl
import pytest

from recsys_tasks.errors import MissingArtefact
from recsys_tasks.model.towers import TowerModel
from recsys_tasks.steps.job import Options
from recsys_tasks.steps.train_towers import run
from tests.pairs.night import NIGHT, Champion, Decisions, small_job, small_log
from tests.steps.tower_night import ENCODER, TowerJob, make_vectors, tower_job


@pytest.fixture
def job(tmp_path) -> TowerJob:
    return tower_job(tmp_path / "shop")


def with_champion(job: TowerJob, ref: str) -> TowerJob:
    return replace(job, store=Decisions(Champion({"towers": ref})))


def test_the_artefact_is_a_loadable_model_with_its_figures(job):
    facts = run(job)
    made = job.workspace.at(facts["artefact"])
    model = TowerModel.load(made.path)
    assert facts["items"] == len(model.item_ids)
    assert facts["loss_first"] > 0
    assert facts["loss_last"] > 0
    assert facts["examples"] > 0
    assert facts["warm"] is False
    assert made.manifest["recorded"]["encoder"] == ENCODER


def test_a_second_run_finds_what_the_first_made(job):
    first, second = run(job), run(job)
    assert (first["reused"], second["reused"]) == (False, True)
    assert {k: v for k, v in first.items() if k != "reused"} == {
        k: v for k, v in second.items() if k != "reused"
    }


def test_what_sells_in_the_window_stays_unknown(job):
    model = TowerModel.load(job.workspace.at(run(job)["artefact"]).path)
    assert "launch" not in model.item_ids
    assert model.facts.until == NIGHT.train_until.isoformat()


def test_events_inside_and_after_the_window_change_no_number(job, tmp_path):
    early = small_log().filter(pl.col("occurred_at") < NIGHT.train_until)
    alone = tower_job(tmp_path / "alone", early)
    folders = [each.workspace.at(run(each)["artefact"]).path for each in (job, alone)]
    for name in ("towers.safetensors", "items.parquet", "towers.json"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


def test_the_champions_towers_are_where_learning_goes_on(job):
    cold = run(job)
    warm = run(with_champion(job, cold["artefact"]))
    assert warm["warm"] is True
    assert warm["epochs"] == job.settings.towers.warm_epochs
    assert warm["loss_first"] < cold["loss_first"]
    assert warm["artefact"] != cold["artefact"]


OTHER_SETTINGS = {"other width": {"dim": 4}, "other similarity": {"similarity": "cosine"}}


@pytest.mark.parametrize("why", ["scratch", "other encoder", "gone", "no towers", *OTHER_SETTINGS])
def test_the_towers_start_afresh(why, job):
    cold = run(job)
    after = with_champion(job, cold["artefact"])
    if why == "scratch":
        after = replace(after, options=Options(start="scratch"))
    if why == "other encoder":
        make_vectors(job, "encoder/2026-04-10/another")
    if why == "gone":
        after = with_champion(job, "towers/2026-04-03/0000000000000000")
    if why == "no towers":
        after = replace(job, store=Decisions(Champion({"model": "popular"})))
    if why in OTHER_SETTINGS:
        towers = job.settings.towers.model_copy(update=OTHER_SETTINGS[why])
        after = replace(after, settings=replace(job.settings, towers=towers))
    assert run(after)["warm"] is False


def test_a_changed_setting_makes_a_sibling(job):
    towers = job.settings.towers.model_copy(update={"epochs": 1})
    changed = replace(job, settings=replace(job.settings, towers=towers))
    assert run(job)["artefact"] != run(changed)["artefact"]


def test_pairs_must_be_there_first(tmp_path):
    small = small_job(tmp_path)
    with pytest.raises(MissingArtefact, match="pairs"):
        run(TowerJob(small.workspace, small.lake))
