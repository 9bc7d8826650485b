from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
import yaml

from recsys_tasks.errors import EmptyPartition, SettingsError
from recsys_tasks.search.found import BEST, PICTURE, TRIALS
from recsys_tasks.settings import PairSettings
from recsys_tasks.settings.augment import TextPolicy, read_policy
from recsys_tasks.steps import build_pairs, search_encoder
from recsys_tasks.steps.encoder_ground import gate_cut
from recsys_tasks.steps.search import run
from recsys_tasks.steps.search_encoder import ground_of
from recsys_tasks.training import finetune
from recsys_tasks.training.encoder_data import EncoderData, as_texts, held_out
from tests.steps.encoder_night import encoder_job


@pytest.fixture(autouse=True)
def training_in_this_process(monkeypatch):
    monkeypatch.setattr(search_encoder, "launch", lambda module, folder: finetune.main(folder))


def job_in(folder, **changes):
    """With examples that reach back behind two validations."""
    job = encoder_job(folder, **changes)
    pairs = PairSettings(target_days=14, history_days=100)
    job = replace(job, settings=replace(job.settings, pairs=pairs))
    build_pairs.run(job)
    return job


@pytest.fixture
def job(tmp_path):
    return job_in(tmp_path)


def folder_of(job, what):
    return job.workspace.home / "search" / what / str(job.night)


@pytest.mark.parametrize("what", ["augment", "training"])
def test_a_search_writes_the_best_a_table_and_a_picture(job, what):
    facts = run(job, what, 3)
    folder = folder_of(job, what)
    assert facts["trials"] == facts["tried now"] == 3
    assert len(pl.read_csv(folder / TRIALS)) == 3
    assert (folder / PICTURE).stat().st_size > 1000
    if what == "augment":
        assert read_policy(folder / BEST, TextPolicy).sub_policies
    else:
        assert yaml.safe_load((folder / BEST).read_text()).keys() == {"encoder", "pairs"}
    assert not (folder / "trial").exists()


def test_a_second_call_goes_on_and_ends_as_one_call_would(job, tmp_path):
    run(job, "augment", 1)
    assert run(job, "augment", 3)["tried now"] == 2
    other = job_in(tmp_path / "other")
    run(other, "augment", 3)
    tables = [pl.read_csv(folder_of(one, "augment") / TRIALS).drop("seconds") for one in (job, other)]
    assert tables[0].equals(tables[1])


def test_a_changed_setting_begins_a_new_study(tmp_path):
    job = encoder_job(tmp_path)
    run(job, "augment", 2)
    warmer = encoder_job(tmp_path, temperature=0.2)
    assert run(warmer, "augment", 1)["tried now"] == 1


def test_other_days_begin_a_new_study(job):
    """The search's days end where those of the ranker begin."""
    run(job, "augment", 1)
    ranker = job.settings.ranker.model_copy(update={"days": 84})
    other = replace(job, settings=replace(job.settings, ranker=ranker))
    assert ground_of(other).until < ground_of(job).until
    assert run(other, "augment", 1)["tried now"] == 1
    assert run(job, "augment", 1)["tried now"] == 0


def test_the_days_of_the_gate_and_its_texts_are_out_of_sight(job):
    ground = ground_of(job)
    snapshot = job.lake.snapshot(job.night.as_of)
    known = as_texts(snapshot.events.filter(pl.col("occurred_at") < job.night.train_until), snapshot.items)
    assert ground.until == gate_cut(job, known)
    assert ground.cut <= ground.until - timedelta(days=27)
    assert ground.events["occurred_at"].max() < ground.until
    share, seed = job.settings.encoder.cold_share, job.settings.seed
    everything = pl.Series(sorted({*ground.events["item_id"], *ground.texts}))
    assert not held_out(everything, share, seed).any(), "none of the gate's own texts"
    assert 0 < ground.held.sum() < len(ground.texts)


def test_a_trial_learns_from_nothing_that_it_is_judged_by(job, monkeypatch):
    seen = []

    def spy(module, folder):
        seen.append(EncoderData.load(folder / "data.safetensors"))
        finetune.main(folder)

    monkeypatch.setattr(search_encoder, "launch", spy)
    run(job, "training", 2)
    ground = ground_of(job)
    cut = ground.cut.timestamp() * 1e6
    for data in seen:
        assert (data.history_time < cut).all()
        assert not ground.held[data.history_text].any()
        assert not ground.held[data.positive_text].any()
        assert np.array_equal(data.held_out, ground.held)


def test_an_objective_without_anything_to_learn_from_fails_alone(job, monkeypatch):
    monkeypatch.setattr(search_encoder, "training_data", lambda *_: None)
    facts = run(job, "training", 2)
    assert (facts["failed"], facts["best"]) == (2, None)
    assert set(pl.read_csv(folder_of(job, "training") / TRIALS)["failed"]) <= {
        f"objective {objective} finds nothing to learn from before {ground_of(job).cut:%Y-%m-%d}"
        for objective in ("history", "pairs")
    }


def test_what_cannot_be_searched_is_told_with_what_can(job):
    with pytest.raises(
        SettingsError, match=r"'towers' cannot be searched; choose one of augment, histories, training"
    ):
        run(job, "towers", 1)


def test_a_log_that_is_too_short_is_told(job, monkeypatch):
    monkeypatch.setattr(
        search_encoder, "gate_cut", lambda job, _events: job.night.train_until - timedelta(days=4000)
    )
    with pytest.raises(EmptyPartition, match="load more history"):
        run(job, "augment", 1)
