"""Which encoder a night goes on with, and which one its training starts from."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from recsys_tasks.errors import MissingArtefact, TrainingFailed
from recsys_tasks.settings import EncoderSettings
from recsys_tasks.steps import finetune_encoder
from recsys_tasks.steps.finetune_encoder import encoder_for, run
from recsys_tasks.steps.job import Options
from recsys_tasks.training import job_folder
from tests.pairs.night import Champion, Decisions
from tests.steps.encoder_night import EncoderJob, decide, encoder_job, later
from tests.tiny_encoder import tiny_encoder

pytestmark = pytest.mark.usefixtures("training_in_this_process")


def failing(*_given):
    raise TrainingFailed("the loss is nan")


@pytest.fixture
def job(tmp_path) -> EncoderJob:
    return encoder_job(tmp_path)


def test_a_night_that_is_no_encoder_night_takes_the_newest_earlier_one(job):
    made = run(job)
    following = later(job, 1, every_nights=1_000_003)
    facts = run(following)
    assert facts["artefact"] == made["artefact"] == encoder_for(following).ref
    assert facts["reused"]
    assert following.workspace.find("encoder", following.night) is None


def test_where_training_fails_a_setting_lets_the_champion_s_encoder_go_on(job, monkeypatch):
    made = run(job)
    led = replace(later(job, 1), store=Decisions(Champion({"encoder": made["artefact"]})))
    monkeypatch.setattr(finetune_encoder, "train", failing)
    with pytest.raises(TrainingFailed):
        run(led)
    encoder = EncoderSettings(**{**led.settings.encoder.model_dump(), "every_nights": 1_000_000})
    again = replace(led, settings=replace(led.settings, encoder=encoder))
    assert run(again)["artefact"] == made["artefact"] == encoder_for(again).ref


def test_where_training_fails_and_there_is_no_earlier_encoder_a_setting_takes_the_base(tmp_path, monkeypatch):
    job = encoder_job(tmp_path)
    monkeypatch.setattr(finetune_encoder, "train", failing)
    with pytest.raises(TrainingFailed):
        run(job)
    encoder = job.settings.encoder.model_copy(update={"enabled": False})
    again = replace(job, settings=replace(job.settings, encoder=encoder))
    assert not run(again)["kept"]
    assert encoder_for(again).night == str(job.night)


def test_the_first_night_tunes_whatever_its_date(tmp_path):
    job = encoder_job(tmp_path, every_nights=1_000_003)
    assert str(job.night) in run(job)["artefact"]
    assert encoder_for(job).night == str(job.night)


def test_an_encoder_that_was_kept_is_where_the_next_one_starts(job, monkeypatch):
    decide(monkeypatch, kept=True)
    made = run(job)
    following = later(job, 1)
    inputs = following.workspace.at(run(following)["artefact"]).manifest["inputs"]
    assert inputs["warm"] == made["artefact"]
    scratch = replace(following, options=Options(start="scratch"))
    assert scratch.workspace.at(run(scratch)["artefact"]).manifest["inputs"]["warm"] is None


@pytest.mark.parametrize(("days_later", "warm"), [(0, True), (-1, False)])
def test_an_encoder_that_saw_days_tonights_gate_asks_about_is_no_start(job, monkeypatch, days_later, warm):
    decide(monkeypatch, kept=True)
    seen_until = datetime.fromisoformat(run(job)["trained_before"])
    monkeypatch.setattr(finetune_encoder, "gate_cut", lambda *_: seen_until + timedelta(days=days_later))
    assert run(later(job, 1))["warm_started"] is warm


def test_a_warm_start_that_drifts_too_far_gives_way_to_a_cold_one(job, monkeypatch):
    decide(monkeypatch, kept=True)
    run(job)
    far = run(later(job, 1, max_drift=1e-9))
    near = run(later(job, 2))
    assert not far["warm_started"]
    assert far["drift_of_refused_warm_start"] > 1e-9
    assert near["warm_started"]
    assert near["drift_of_refused_warm_start"] is None
    assert 0 < near["drift"] < 0.5


def test_every_so_many_nights_training_starts_from_the_base(job, monkeypatch):
    decide(monkeypatch, kept=True)
    run(job)
    ordinal = later(job, 1).night.date.toordinal()
    for nights, is_cold in ((ordinal, True), (ordinal + 1, False)):
        following = later(job, 1, cold_start_nights=nights)
        inputs = following.workspace.at(run(following)["artefact"]).manifest["inputs"]
        assert (inputs["warm"] is None) == is_cold


def test_cold_starts_fall_on_encoder_nights():
    with pytest.raises(ValueError, match="multiple of every_nights"):
        EncoderSettings(every_nights=7, cold_start_nights=30)


@pytest.mark.parametrize("changed", ["cold_share", "max_tokens", "pooling", "base", "seed"])
def test_an_encoder_made_otherwise_neither_goes_on_nor_starts_the_next(job, monkeypatch, tmp_path, changed):
    """Trained on texts that tonight holds out, it would pass tonight's encoder gate by having seen the answers."""
    decide(monkeypatch, kept=True)
    made = run(job)
    other = {
        "cold_share": {"cold_share": 0.4},
        "max_tokens": {"max_tokens": 12},
        "pooling": {"pooling": "last"},
        "base": {"base": str(tiny_encoder(tmp_path / "another", seed=5))},
        "seed": {},
    }[changed]
    for every_nights in (1, 1_000_003):
        following = later(job, 1, every_nights=every_nights, **other)
        if changed == "seed":
            following = replace(following, settings=replace(following.settings, seed=2))
        facts = run(following)
        assert facts["artefact"] != made["artefact"]
        assert following.workspace.at(facts["artefact"]).manifest["inputs"]["warm"] is None


def test_an_encoder_that_saw_tonights_window_neither_goes_on_nor_starts_the_next(job, monkeypatch):
    decide(monkeypatch, kept=True)
    made = run(job)
    assert job.workspace.at(made["artefact"]).manifest["recorded"]["train_until"] == (
        job.night.train_until.isoformat()
    )
    following = later(replace(job, night=replace(job.night, gate_days=9)), 1)
    facts = run(following)
    assert facts["artefact"] != made["artefact"]
    assert following.workspace.at(facts["artefact"]).manifest["inputs"]["warm"] is None


def test_an_encoder_that_was_refused_is_no_start(job, monkeypatch):
    decide(monkeypatch, kept=False)
    run(job)
    following = later(job, 1)
    assert following.workspace.at(run(following)["artefact"]).manifest["inputs"]["warm"] is None


def test_before_any_encoder_the_step_to_run_is_named(job):
    with pytest.raises(MissingArtefact, match="finetune_encoder"):
        encoder_for(job)


def test_a_base_is_adapted_to_the_catalogue_and_an_encoder_that_goes_on_is_not(tmp_path, monkeypatch):
    decide(monkeypatch, kept=True)
    write, given = job_folder.write_job, []
    monkeypatch.setattr(
        job_folder,
        "write_job",
        lambda *all, **named: given.append(named["start_vectors"]) or write(*all, **named),
    )
    job = encoder_job(tmp_path, adapt={"steps": 2, "batch_texts": 4, "mask_share": 0.5})
    facts = run(job)
    assert facts["adaptation"]["steps"] == 2
    assert given == [None], "the base's vectors are not those of the adapted base"
    following = run(later(job, 1))
    assert "adaptation" not in following
    assert following["artefact"] != facts["artefact"]
