from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from transformers import AutoModel, AutoTokenizer

from recsys_tasks.errors import MissingArtefact, TrainingFailed
from recsys_tasks.evaluate.encoder_gate import Slice, Verdict
from recsys_tasks.model.encoder import TextEncoder, weights_hash
from recsys_tasks.model.vector_cache import VectorCache
from recsys_tasks.model.whiten import Whitening
from recsys_tasks.settings import EncoderSettings
from recsys_tasks.steps import encoder_pictures, encoder_training, finetune_encoder
from recsys_tasks.steps.encoder_files import JUDGED_BY, MODEL, PICTURES, REFUSED, SIMILARITY, WHITENING
from recsys_tasks.steps.encoder_vectors import caches
from recsys_tasks.steps.finetune_encoder import encoder_for, run
from recsys_tasks.steps.job import Options
from recsys_tasks.training import finetune, job_folder
from recsys_tasks.training.optimisation import Optimisation
from tests.steps.encoder_night import EncoderJob, encoder_job, later
from tests.tiny_encoder import tiny_encoder

HIGHER, SAME = Slice(0.1, 0.2, 0.1, 0.05, 0.15, 10), Slice(0.1, 0.1, 0.0, 0.0, 0.0, 10)


@pytest.fixture(autouse=True)
def training_in_this_process(monkeypatch):
    monkeypatch.setattr(encoder_training, "launch", lambda module, folder, nodes: finetune.main(folder))


def decide(monkeypatch, *, kept):
    verdict = Verdict(kept, "as the test wants it", HIGHER if kept else SAME, SAME)
    monkeypatch.setattr(finetune_encoder.encoder_gate, "judge", lambda *_args, **_kwargs: verdict)


@pytest.fixture
def job(tmp_path) -> EncoderJob:
    return encoder_job(tmp_path)


def folder_of(job, facts):
    return job.workspace.at(facts["artefact"]).path


def base_hash(job):
    return weights_hash(finetune_encoder.base_folder(job.settings.encoder.base))


def test_the_decision_and_its_figures_are_reported(job):
    facts = run(job)
    assert facts["kept"] in (True, False)
    assert facts["why"]
    assert set(facts["cold"]) == set(facts["warm"]) == set(Slice.__dataclass_fields__)
    assert {"loss_first", "loss_last", "steps", "texts"} <= facts.keys()
    assert facts["steps"] == 3


def test_a_kept_encoder_is_the_tuned_one_and_loads_as_any_model(job, monkeypatch):
    decide(monkeypatch, kept=True)
    folder = folder_of(job, run(job))
    AutoModel.from_pretrained(folder / MODEL)
    AutoTokenizer.from_pretrained(folder / MODEL)
    assert weights_hash(folder / MODEL) != base_hash(job)
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", MODEL, PICTURES, WHITENING]


def test_a_refused_encoder_is_put_aside_and_the_whitened_base_goes_on(job, monkeypatch):
    decide(monkeypatch, kept=False)
    folder = folder_of(job, run(job))
    assert weights_hash(folder / MODEL) == base_hash(job) != weights_hash(folder / REFUSED)
    texts = job.lake.snapshot(job.night.as_of).items["text"].unique().sort().to_list()
    whitening = Whitening.fit(TextEncoder.load(folder / MODEL, 16, "cpu").encode(texts))
    np.testing.assert_allclose(Whitening.load(folder / WHITENING).rotation, whitening.rotation, atol=2e-2)


def test_views_learn_from_the_texts_alone_and_are_told_what_stands_between_fields(tmp_path, monkeypatch):
    told, read = [], finetune.token_texts
    monkeypatch.setattr(finetune, "token_texts", lambda *given: told.append(given[3]) or read(*given))
    facts = run(encoder_job(tmp_path, objective="views", contrast={"objective": "nt_xent"}))
    assert facts["steps"] == 3
    assert told == [[". "]]


def test_a_second_run_reuses_it(job):
    first = run(job)
    assert run(job) == {**first, "reused": True}
    assert not first["reused"]


def test_two_shops_with_one_log_get_the_same_encoder(job, tmp_path):
    other = encoder_job(tmp_path / "other")
    first, second = run(job), run(other)
    assert first["artefact"].split("/")[2] == second["artefact"].split("/")[2]
    for file in (f"{MODEL}/model.safetensors", WHITENING):
        assert (folder_of(job, first) / file).read_bytes() == (folder_of(other, second) / file).read_bytes()


def test_events_of_the_validation_days_and_later_change_no_weight(job, tmp_path):
    other = encoder_job(tmp_path / "other")
    cut = datetime.fromisoformat(run(job)["trained_before"])
    rows = other.lake.events_between(cut, job.night.as_of).with_columns(item_id=pl.lit("i00"))
    rows = rows.unique(["user_id", "item_id", "occurred_at", "event_type"], maintain_order=True)
    zone = job.settings.zone
    other.lake.write_days(cut.astimezone(zone).date(), job.night.date, zone, rows, {})
    weights = [_tuned_weights(one) for one in (job, other)]
    assert weights[0] == weights[1]


def _tuned_weights(job):
    folder = folder_of(job, run(job))
    refused = folder / REFUSED
    return ((refused if refused.is_dir() else folder / MODEL) / "model.safetensors").read_bytes()


def test_a_night_that_is_no_encoder_night_takes_the_newest_earlier_one(job):
    made = run(job)
    following = later(job, 1, every_nights=1_000_003)
    facts = run(following)
    assert facts["artefact"] == made["artefact"] == encoder_for(following).ref
    assert facts["reused"]
    assert following.workspace.find("encoder", following.night) is None


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


def test_the_pictures_of_a_training_lie_beside_the_encoder(job):
    pictures = folder_of(job, run(job)) / PICTURES
    assert {file.name: file.read_bytes()[1:4] for file in pictures.iterdir()} == {
        "loss.png": b"PNG",
        "map.png": b"PNG",
    }


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


@pytest.mark.parametrize("kept", [True, False])
def test_the_cache_holds_nothing_but_the_text_encoder_s_own_vectors(job, monkeypatch, kept):
    """The trainer's differ in the last digits: what a later night finds must not depend on who was there before."""
    decide(monkeypatch, kept=kept)
    encode, encoded = TextEncoder.encode, set()
    monkeypatch.setattr(
        TextEncoder,
        "encode",
        lambda encoder, texts, *progress: encoded.update(texts) or encode(encoder, texts, *progress),
    )
    run(job)
    (folder,) = caches(job).iterdir()
    assert folder.name.startswith(base_hash(job))
    texts = job.lake.snapshot(job.night.as_of).items["text"].unique().sort().to_list()
    known = VectorCache(folder).lookup(texts)[1]
    assert {text for text, is_known in zip(texts, known, strict=True) if is_known} == encoded != set()


def test_an_encoder_that_was_refused_is_no_start(job, monkeypatch):
    decide(monkeypatch, kept=False)
    run(job)
    following = later(job, 1)
    assert following.workspace.at(run(following)["artefact"]).manifest["inputs"]["warm"] is None


def test_where_tuning_is_switched_off_the_whitened_base_is_the_encoder(tmp_path, monkeypatch):
    job = encoder_job(tmp_path, enabled=False)
    monkeypatch.setattr(
        encoder_training, "launch", lambda *_, **_nodes: pytest.fail("nothing is to be trained")
    )
    facts = run(job)
    assert not facts["kept"]
    assert weights_hash(folder_of(job, facts) / MODEL) == base_hash(job)


def test_a_training_that_failed_goes_on_in_the_next_try_and_leaves_nothing_behind(tmp_path, monkeypatch):
    whole, seen, breaks = Optimisation.step, [], [2]

    def step(run):
        seen.append(len(run.losses))
        if breaks and len(run.losses) == breaks[0]:
            breaks.clear()
            raise TrainingFailed("the machine was taken away")
        whole(run)

    monkeypatch.setattr(Optimisation, "step", step)
    job = encoder_job(tmp_path / "broken", checkpoint_steps=1)
    with pytest.raises(TrainingFailed, match="taken away"):
        run(job)
    (kept,) = job.workspace.checkpoints.iterdir()
    assert sorted(file.name for file in kept.glob("*/*")) == [
        "step-000000001.safetensors",
        "step-000000002.safetensors",
    ]
    facts = run(job)
    assert seen[:5] == [0, 1, 2, 2, 0], "the third step again, then the projection's"
    assert list(job.workspace.checkpoints.iterdir()) == []
    unbroken = encoder_job(tmp_path / "unbroken", checkpoint_steps=0)
    assert _tuned_weights(job) == _tuned_weights(unbroken)
    assert facts["artefact"].split("/")[2] == run(unbroken)["artefact"].split("/")[2]


def test_pairs_are_the_other_objective(tmp_path):
    assert run(encoder_job(tmp_path, objective="pairs"))["steps"] == 3


@pytest.mark.parametrize("kept", [True, False])
def test_what_pairs_were_compared_by_lies_beside_a_kept_encoder(tmp_path, monkeypatch, kept):
    decide(monkeypatch, kept=kept)
    job = encoder_job(tmp_path, objective="pairs", contrast={"similarity": "euclidean"})
    facts = run(job)
    assert (folder_of(job, facts) / SIMILARITY).is_file() == kept
    assert facts[JUDGED_BY] == "sides"


def test_an_encoder_that_compares_by_the_cosine_says_so(job):
    assert run(job)[JUDGED_BY] == "cosine"


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


@pytest.mark.parametrize("changes", [{"lora": {"rank": 2}}, {"chunk_texts": 3}], ids=str)
def test_adapters_and_chunks_make_an_ordinary_encoder(tmp_path, monkeypatch, changes):
    decide(monkeypatch, kept=True)
    job = encoder_job(tmp_path, **changes)
    folder = folder_of(job, run(job))
    assert set(AutoModel.from_pretrained(folder / MODEL).state_dict()) == set(
        AutoModel.from_pretrained(job.settings.encoder.base).state_dict()
    )
    assert weights_hash(folder / MODEL) != base_hash(job)


def test_a_picture_that_cannot_be_drawn_costs_no_training(job, monkeypatch, caplog):
    def fails(*_arguments):
        raise ValueError("no fonts")

    monkeypatch.setattr(encoder_pictures, "plot_map", fails)
    folder = folder_of(job, run(job))
    assert (folder / MODEL).is_dir()
    assert not (folder / PICTURES).exists()
    assert "the encoder has no pictures: no fonts" in caplog.text
