"""What a warm start of the encoder learns from."""

import logging
import re
from dataclasses import replace
from datetime import datetime

import numpy as np
import polars as pl
import pytest

from recsys_tasks.errors import TrainingFailed
from recsys_tasks.steps import encoder_training, finetune_encoder
from recsys_tasks.steps.encoder_files import MODEL
from recsys_tasks.steps.finetune_encoder import run
from recsys_tasks.steps.job import Options
from recsys_tasks.training import job_folder
from tests.steps.encoder_night import decide, encoder_job, later

WEEK = 7


@pytest.fixture(autouse=True)
def every_encoder_is_kept(monkeypatch, training_in_this_process):
    decide(monkeypatch, kept=True)


@pytest.fixture
def given(monkeypatch):
    """The data of each training, in turn."""
    write, given = job_folder.write_job, []
    monkeypatch.setattr(
        job_folder, "write_job", lambda *all, **named: given.append(all[5]) or write(*all, **named)
    )
    return given


@pytest.fixture
def standing(tmp_path):
    """A job whose encoder stands, of one objective or the other."""

    def made(objective):
        # Enough steps to ask for every example there is.
        job = encoder_job(tmp_path / objective, objective=objective, projection_steps=60)
        return job, datetime.fromisoformat(run(job)["trained_before"])

    return made


def sizes(data):
    return {"history": len(data.example_user), "pairs": len(data.pair_anchor)}


def weights(job, facts):
    return (job.workspace.at(facts["artefact"]).path / MODEL / "model.safetensors").read_bytes()


@pytest.mark.parametrize("objective", ["history", "pairs"])
def test_a_warm_start_reads_the_whole_log_unless_its_share_is_limited(standing, given, objective):
    job, _ = standing(objective)
    facts = [run(later(job, WEEK, replay_share=share)) for share in (None, 1.0, 0.3, 0.0)]
    assert all(one["warm_started"] for one in facts)
    everything, same, some, nothing = (sizes(data)[objective] for data in given[1:])
    assert everything == same > some > nothing > 0
    assert weights(job, facts[0]) == weights(job, facts[1]) != weights(job, facts[3])


def test_with_a_share_of_nothing_only_what_came_since_is_read(standing, given):
    job, seen_until = standing("history")
    following = later(job, WEEK, replay_share=0.0)
    run(following)
    examples = pl.read_parquet(following.workspace.need("pairs", following.night).path / "examples.parquet")
    new = examples.filter(pl.col("positives_until") >= seen_until)["history_until"].dt.epoch("us")
    assert set(given[-1].example_until.tolist()) <= set(new.to_list())


def test_a_start_from_the_base_after_a_drift_reads_everything(standing, given):
    job, _ = standing("history")
    following = later(job, WEEK, replay_share=0.0, max_drift=1e-9)
    assert run(following)["drift_of_refused_warm_start"] is not None
    run(replace(later(job, WEEK), options=Options(start="scratch")))
    limited, whole, scratch = given[1:]
    assert sizes(limited)["history"] < sizes(whole)["history"]
    for name, value in vars(scratch).items():
        np.testing.assert_array_equal(getattr(whole, name), value, err_msg=name)


def test_where_nothing_is_new_the_limit_has_no_part(standing, given, monkeypatch):
    job, seen_until = standing("history")
    monkeypatch.setattr(finetune_encoder, "gate_cut", lambda *_: seen_until)
    run(later(job, WEEK, replay_share=0.5))
    run(later(job, WEEK))
    limited, whole = given[1:]
    assert sizes(limited) == sizes(whole)


@pytest.mark.parametrize(("batch_texts", "is_limited"), [(8, True), (2000, False)])
def test_where_the_limit_would_not_fill_one_step_it_has_no_part(
    standing, given, caplog, batch_texts, is_limited
):
    job, seen_until = standing("pairs")
    with caplog.at_level(logging.INFO):
        for share in (None, 0.5):
            run(later(job, WEEK, replay_share=share, batch_texts=batch_texts, steps=1))
    whole, limited = (sizes(data)["pairs"] for data in given[1:])
    assert (limited < whole) == is_limited
    assert (f"too little is new since {seen_until}" in caplog.text) != is_limited


@pytest.mark.parametrize(("objective", "rows"), [("history", "examples"), ("pairs", "pairs")])
def test_the_log_tells_how_much_of_what_the_objective_reads_is_left(standing, caplog, objective, rows):
    job, _ = standing(objective)
    following = later(job, WEEK, replay_share=1.0)
    with caplog.at_level(logging.INFO):
        run(following)
    (told,) = re.findall(r"replay_share 1.00: (\d+) of (\d+) (\w+) of the log", caplog.text)
    assert told[0] == told[1], "the whole log, and nothing behind the cut"
    assert told[2] == rows


def test_only_a_warm_start_is_another_encoder_with_another_share(standing):
    job, _ = standing("history")
    cold = [later(job, 0, replay_share=share) for share in (None, 0.5)]
    assert len({run(one)["artefact"] for one in cold}) == 1
    warm = [later(job, WEEK, replay_share=share) for share in (None, 0.5)]
    assert len({run(one)["artefact"] for one in warm}) == 2


def test_with_views_a_warm_start_is_the_same_encoder_with_any_share(standing):
    job, _ = standing("views")
    facts = [run(later(job, WEEK, replay_share=share)) for share in (None, 0.5)]
    assert facts[0]["warm_started"]
    assert len({one["artefact"] for one in facts}) == 1


def test_a_start_from_the_base_goes_on_whatever_share_was_set_meanwhile(tmp_path, monkeypatch):
    asked_for = []

    def breaks_off(_module, folder, nodes):
        asked_for.append(job_folder.request_of(folder))
        raise TrainingFailed("the machine was taken away")

    monkeypatch.setattr(encoder_training, "launch", breaks_off)
    job = encoder_job(tmp_path)
    for share in (None, 0.5):
        with pytest.raises(TrainingFailed):
            run(later(job, 0, replay_share=share))
    assert asked_for[0] == asked_for[1], "its checkpoints would not be found"
