import shutil
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import polars as pl
import pytest

from recsys_tasks.errors import LeakFound, MissingArtefact
from recsys_tasks.index.index import ItemIndex
from recsys_tasks.lake.snapshot import Snapshot
from recsys_tasks.lake.tables import Lake
from recsys_tasks.model.towers import TowerModel
from recsys_tasks.steps import build_index, train_ranker, train_towers
from recsys_tasks.steps.refit import refitted
from recsys_tasks.steps.refit_towers import run
from recsys_tasks.steps.serving import INDEX
from tests.pairs.night import NIGHT, days, small_log
from tests.steps.list_night import decided, reopened
from tests.steps.tower_night import ENCODER, TowerJob, refitting, tower_job


@pytest.fixture
def small(tmp_path) -> TowerJob:
    return fitted(tower_job(tmp_path / "shop"))


def fitted(job: TowerJob) -> TowerJob:
    """A job that asks for a refit, its towers made."""
    train_towers.run(job)
    return refitting(job)


def towers_of(job):
    return job.workspace.need("towers", NIGHT)


def made(job):
    return job.workspace.at(refitted(job, towers_of(job))["artefact"])


def test_what_sells_in_the_window_is_learned(small):
    before, after = TowerModel.load(towers_of(small).path), TowerModel.load(made(small).path)
    assert set(after.item_ids) - set(before.item_ids) == {"launch"}
    assert after.facts.until == NIGHT.as_of.isoformat()


def test_learning_goes_on_from_the_accepted_towers(small):
    before, after = (TowerModel.load(it.path).tensors.text for it in (towers_of(small), made(small)))
    assert not np.array_equal(before, after)
    # Drawn anew they would have nothing in common.
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.9


def test_the_manifest_tells_how_far_it_saw_and_what_it_goes_on_from(small):
    manifest = made(small).manifest
    assert manifest["recorded"]["train_until"] == NIGHT.as_of.isoformat()
    assert manifest["recorded"]["encoder"] == ENCODER
    assert manifest["inputs"] == {
        "towers": towers_of(small).ref,
        "vectors": small.workspace.need("vectors", NIGHT).ref,
        "lake": small.lake.state(NIGHT),
    }
    assert manifest["settings"]["towers"]["refit_epochs"] == 1


def test_its_index_holds_its_own_vectors_of_what_may_be_offered(small):
    refit = made(small)
    build_index.run(small)
    own, before = (
        ItemIndex.load(refit.path / INDEX),
        ItemIndex.load(small.workspace.need("index", NIGHT).path),
    )
    assert refit.metrics["recall_vs_exact"] == 1.0
    assert own.item_ids.equals(before.item_ids)
    some = np.random.default_rng(1).normal(size=(3, own.dim)).astype(np.float32)
    assert not np.array_equal(own.search(some, 5)[0], before.search(some, 5)[0])


def test_events_at_or_behind_the_nights_end_change_no_number(small, tmp_path):
    early = small_log().filter(pl.col("occurred_at") < NIGHT.as_of)
    assert len(early) < len(small_log())
    alone = fitted(tower_job(tmp_path / "alone", early))
    folders = [made(each).path for each in (small, alone)]
    for name in ("towers.safetensors", "items.parquet", "towers.json", f"{INDEX}/items.faiss"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


def test_a_second_run_finds_it_and_more_epochs_make_another(small):
    first = refitted(small, towers_of(small))
    assert refitted(small, towers_of(small)) == {**first, "reused": True}
    more = refitted(refitting(small, 2), towers_of(small))
    assert (more["reused"], first["epochs"], more["epochs"]) == (False, 1, 2)


@dataclass(frozen=True)
class ClocklessLake(Lake):
    """A lake that forgets to cut at the night's end."""

    def snapshot(self, as_of: datetime) -> Snapshot:
        return replace(super().snapshot(as_of + days(2)), as_of=as_of)


def test_an_event_behind_the_night_stops_it(small):
    with pytest.raises(
        LeakFound, match="refit would learn from the future:\nevent at or after the night's end"
    ):
        refitted(replace(small, lake=ClocklessLake(small.lake.folder)), towers_of(small))
    assert small.workspace.find("refit", NIGHT) is None


def test_towers_of_other_settings_have_to_pass_the_gate_first(small):
    settings = small.settings.towers.model_copy(update={"dim": 4, "logq": 0.5})
    changed = replace(small, settings=replace(small.settings, towers=settings))
    with pytest.raises(MissingArtefact, match=r"other settings \(dim, logq\): run train_towers again"):
        refitted(changed, towers_of(small))


def test_asking_for_a_refit_makes_nothing_before_the_gate_anew(job):
    steps = (train_towers, train_ranker, build_index)
    assert [step.run(refitting(job))["reused"] for step in steps] == [True, True, True]


# As a step of the night


def test_the_step_goes_on_from_the_towers_that_were_decided_on(job):
    facts = run(decided(refitting(job)))
    made_from = job.workspace.at(facts["artefact"]).manifest["inputs"]["towers"]
    assert made_from == job.store.decision(NIGHT.date).refs["towers"]


def test_where_no_refit_is_asked_for_none_is_made(fresh):
    assert run(decided(fresh)) == {"fitted": False, "asked": False, "why": "towers.refit_epochs is 0"}
    assert fresh.workspace.find("refit", NIGHT) is None


def test_a_refused_challenger_learns_nothing_more(fresh):
    facts = run(decided(refitting(fresh), accepted=False))
    assert (facts["fitted"], facts["asked"]) == (False, True)
    assert facts["why"].startswith("the champion makes tonight's lists")
    assert fresh.workspace.find("refit", NIGHT) is None


@pytest.fixture
def fresh(modelled_night, tmp_path):
    """A night of its own, where no refit lies yet."""
    shutil.copytree(modelled_night, tmp_path / "home")
    return reopened(tmp_path / "home")


def test_the_gate_must_have_decided(job):
    with pytest.raises(MissingArtefact, match="run gate first"):
        run(replace(refitting(job), night=NIGHT.shift(1)))
