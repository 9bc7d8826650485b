"""What a training of the encoder makes, keeps and reports."""

from datetime import datetime

import numpy as np
import polars as pl
import pytest
from transformers import AutoModel, AutoTokenizer

from recsys_tasks.errors import TrainingFailed
from recsys_tasks.evaluate.encoder_gate import Slice
from recsys_tasks.model.encoder import TextEncoder, weights_hash
from recsys_tasks.model.vector_cache import VectorCache
from recsys_tasks.model.whiten import Whitening
from recsys_tasks.steps import encoder_pictures, encoder_training, finetune_encoder
from recsys_tasks.steps.encoder_files import JUDGED_BY, MODEL, PICTURES, REFUSED, SIMILARITY, WHITENING
from recsys_tasks.steps.encoder_vectors import caches
from recsys_tasks.steps.finetune_encoder import run
from recsys_tasks.training import finetune
from recsys_tasks.training.optimisation import Optimisation
from tests.steps.encoder_night import EncoderJob, decide, encoder_job, folder_of, tuned_weights

pytestmark = pytest.mark.usefixtures("training_in_this_process")


@pytest.fixture
def job(tmp_path) -> EncoderJob:
    return encoder_job(tmp_path)


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
    weights = [tuned_weights(one) for one in (job, other)]
    assert weights[0] == weights[1]


def test_the_pictures_of_a_training_lie_beside_the_encoder(job):
    pictures = folder_of(job, run(job)) / PICTURES
    assert {file.name: file.read_bytes()[1:4] for file in pictures.iterdir()} == {
        "loss.png": b"PNG",
        "map.png": b"PNG",
    }


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
    assert tuned_weights(job) == tuned_weights(unbroken)
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
