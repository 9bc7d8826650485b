import json

import numpy as np
import pytest

from recsys_tasks.errors import MissingArtefact
from recsys_tasks.evaluate.encoder_gate import Verdict
from recsys_tasks.model.encoder import TextEncoder
from recsys_tasks.model.similarity import TextSimilarity
from recsys_tasks.model.vectors import TextVectors
from recsys_tasks.model.whiten import Whitening
from recsys_tasks.steps import encode_items, finetune_encoder
from recsys_tasks.steps.encoder_files import JUDGED_BY, MODEL, SIMILARITY, WHITENING
from recsys_tasks.workspace import MANIFEST
from tests.steps.encoder_night import HIGHER, SAME, encoder_job, later
from tests.tiny_decoder import tiny_decoder


@pytest.fixture
def job(tmp_path, training_in_this_process):
    job = encoder_job(tmp_path)
    finetune_encoder.run(job)
    return job


def test_every_item_of_the_catalogue_gets_the_whitened_vector_of_its_text(job):
    facts = encode_items.run(job)
    items = job.lake.snapshot(job.night.as_of).items.sort("item_id")
    vectors = TextVectors.load(job.workspace.at(facts["artefact"]).path)
    encoder = finetune_encoder.encoder_for(job)
    raw = TextEncoder.load(encoder.path / MODEL, 16, "cpu").encode(items["text"].to_list())
    assert vectors.item_ids.to_list() == items["item_id"].to_list()
    np.testing.assert_allclose(vectors.matrix, Whitening.load(encoder.path / WHITENING).apply(raw), atol=1e-4)
    assert facts["items"] == len(items)
    assert facts["encoder"] == encoder.ref


def test_a_second_run_reuses_them(job):
    first, again = encode_items.run(job), encode_items.run(job)
    assert again["artefact"] == first["artefact"]
    assert again["reused"]


def test_the_next_night_encodes_nothing_it_has_seen(job):
    first = encode_items.run(job)
    following = later(job, 1, every_nights=1_000_003)
    facts = encode_items.run(following)
    assert (facts["encoded"], facts["cached"]) == (0, first["texts"])


def test_vectors_of_another_encoder_can_be_had_for_the_same_items(job):
    encoder = finetune_encoder.encoder_for(job)
    items = job.lake.snapshot(job.night.as_of).items
    some = encode_items.vectors_for(job, encoder, items.head(3))
    everything = encode_items.vectors_for(job, encoder, items)
    # The last digits of a text's vector depend on what is encoded beside it.
    np.testing.assert_allclose(some.matrix, everything.of(some.item_ids), atol=1e-5)


def test_without_an_encoder_the_step_to_run_is_named(tmp_path):
    with pytest.raises(MissingArtefact, match="finetune_encoder"):
        encode_items.run(encoder_job(tmp_path))


@pytest.mark.parametrize("pooling", ["auto", "mean"])
def test_a_decoder_s_vectors_are_pooled_as_they_were_trained(tmp_path, training_in_this_process, pooling):
    base = tiny_decoder(tmp_path / "decoder")
    job = encoder_job(tmp_path, base=str(base), pooling=pooling)
    finetune_encoder.run(job)
    encoder = finetune_encoder.encoder_for(job)
    facts = encode_items.run(later(job, 1, every_nights=1_000_003))
    vectors = TextVectors.load(job.workspace.at(facts["artefact"]).path)
    items = job.lake.snapshot(job.night.shift(1).as_of).items.sort("item_id")
    raw = TextEncoder.load(encoder.path / MODEL, 16, "cpu", pooling).encode(items["text"].to_list())
    np.testing.assert_allclose(vectors.matrix, Whitening.load(encoder.path / WHITENING).apply(raw), atol=1e-3)


@pytest.fixture
def euclidean(tmp_path, monkeypatch, training_in_this_process):
    """A job whose encoder was kept and compares by distance, and what its gate was asked about."""
    asked_about = []

    def kept(_trial, _frozen, tuned, **_):
        asked_about.append(tuned)
        return Verdict(True, "as the test wants it", HIGHER, SAME)

    monkeypatch.setattr(finetune_encoder.encoder_gate, "judge", kept)
    job = encoder_job(tmp_path, objective="pairs", contrast={"similarity": "euclidean"})
    finetune_encoder.run(job)
    return job, asked_about[0]


def test_what_the_encoder_was_trained_by_stands_beside_the_vectors(euclidean):
    job, judged = euclidean
    encoder = finetune_encoder.encoder_for(job)
    vectors = TextVectors.load(job.workspace.at(encode_items.run(job)["artefact"]).path)
    texts = job.lake.snapshot(job.night.as_of).items["text"].unique().sort().to_list()
    raw = TextEncoder.load(encoder.path / MODEL, 16, "cpu").encode(texts)
    expected = TextSimilarity.load(encoder.path / SIMILARITY).sides(raw)
    np.testing.assert_allclose(vectors.sides.asked, expected.asked, atol=1e-3)
    np.testing.assert_allclose(
        vectors.sides.offered, expected.offered - expected.offered.mean(axis=0), atol=1e-3
    )
    assert judged.asked.shape[1] == judged.offered.shape[1] == vectors.sides.asked.shape[1]


@pytest.mark.parametrize("judged_by", [None, "cosine"])
def test_an_encoder_whose_gate_asked_the_cosine_is_used_by_it(euclidean, judged_by):
    job, _ = euclidean
    encoder = finetune_encoder.encoder_for(job)
    items = job.lake.snapshot(job.night.as_of).items
    assert encode_items.vectors_for(job, encoder, items).sides is not None
    manifest = {**encoder.manifest, "metrics": {**encoder.metrics, JUDGED_BY: judged_by}}
    (encoder.path / MANIFEST).write_text(json.dumps(manifest))
    assert encode_items.vectors_for(job, encoder, items).sides is None


def test_an_encoder_trained_by_the_cosine_has_one_vector_a_text(job):
    vectors = TextVectors.load(job.workspace.at(encode_items.run(job)["artefact"]).path)
    assert vectors.sides is None
