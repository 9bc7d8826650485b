import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from recsys_tasks.model.encoder import TextEncoder, weights_hash
from recsys_tasks.model.whiten import Whitening
from recsys_tasks.training import encoding, finetune, job_folder, minimise
from recsys_tasks.training.encoder_data import held_out
from recsys_tasks.training.launch import launch
from tests.tiny_decoder import tiny_decoder
from tests.tiny_encoder import tiny_encoder
from tests.training import text_shop
from tests.training.encoder_job import job


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_encoder(tmp_path_factory.mktemp("tiny"), words=text_shop.WORDS)


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    return tiny_decoder(tmp_path_factory.mktemp("tiny"), words=text_shop.WORDS)


@pytest.mark.parametrize("family", ["base", "decoder"])
@pytest.mark.parametrize("objective", ["history", "pairs"])
def test_training_lowers_the_loss_and_the_result_loads_as_any_other_model(
    tmp_path, request, family, objective
):
    folder, texts = job(tmp_path / "job", request.getfixturevalue(family), objective=objective)
    finetune.main(folder)
    report = job_folder.read_report(folder)
    assert report.loss_last < report.loss_first - 0.05
    assert report.steps == 30
    tuned = folder / job_folder.MODEL
    AutoModel.from_pretrained(tuned)
    AutoTokenizer.from_pretrained(tuned)
    vectors = job_folder.read_vectors(folder)
    np.testing.assert_allclose(TextEncoder.load(tuned, 16, "cpu").encode(texts.to_list()), vectors, atol=1e-5)


def test_mixed_precision_as_a_gpu_uses_it_learns_as_well(tmp_path, base, monkeypatch):
    # bf16 emulated on the CPU: the types that meet are those of a GPU's run.
    monkeypatch.setattr(encoding, "autocast", lambda _device: torch.autocast("cpu", dtype=torch.bfloat16))
    folder, texts = job(tmp_path / "job", base)
    finetune.main(folder)
    report = job_folder.read_report(folder)
    assert report.loss_last < report.loss_first - 0.05
    vectors = job_folder.read_vectors(folder)
    assert vectors.dtype == np.float32
    exact = TextEncoder.load(folder / job_folder.MODEL, 16, "cpu").encode(texts.to_list())
    assert 0 < np.abs(vectors - exact).max() < 0.05


def test_two_runs_give_the_same_weights(tmp_path, base):
    hashes = []
    for run in ("a", "b"):
        folder, _ = job(tmp_path / run, base, steps=4)
        finetune.main(folder)
        hashes.append(weights_hash(folder / job_folder.MODEL))
    assert hashes[0] == hashes[1]


def test_vectors_that_are_known_already_are_not_computed_again(tmp_path, base, monkeypatch):
    folder, texts = job(tmp_path / "alone", base, steps=2)
    finetune.main(folder)
    known = TextEncoder.load(base, 16, "cpu").encode(texts.to_list())
    given, _ = job(tmp_path / "given", base, known, steps=2)
    whole, calls = finetune.encode_all, []
    monkeypatch.setattr(finetune, "encode_all", lambda *arguments: calls.append(1) or whole(*arguments))
    finetune.main(given)
    assert len(calls) == 1, "only the tuned vectors"
    np.testing.assert_allclose(job_folder.read_vectors(given), job_folder.read_vectors(folder), atol=1e-4)


def test_frozen_layers_stay_as_they_were(tmp_path, base):
    folder, _ = job(tmp_path / "job", base, steps=3, frozen_layers=2)
    finetune.main(folder)
    before = AutoModel.from_pretrained(base).state_dict()
    after = AutoModel.from_pretrained(folder / job_folder.MODEL).state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all(name.startswith("encoder.layer.2.") for name in moved)


def test_without_projection_steps_the_projection_is_the_whitening_of_the_tuned_vectors(tmp_path, base):
    folder, texts = job(tmp_path / "job", base, steps=2, projection_steps=0)
    finetune.main(folder)
    tuned = job_folder.read_vectors(folder)[~held_out(texts, 0.2, 1)]
    np.testing.assert_array_equal(
        Whitening.load(folder / job_folder.PROJECTION).rotation, Whitening.fit(tuned).rotation
    )


def test_the_learning_rate_rises_and_falls_to_nearly_nothing():
    rates = [minimise.rate(step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(1 / 20)
    assert max(rates) == 1.0
    assert rates[-1] == pytest.approx(1 / 80)


@pytest.mark.slow
def test_two_processes_follow_the_same_loss_as_one(tmp_path, base):
    losses = []
    for processes in (1, 2):
        folder, _ = job(tmp_path / str(processes), base, steps=5)
        launch(finetune.__name__, folder, processes)
        losses.append(job_folder.read_losses(folder))
    np.testing.assert_allclose(losses[1], losses[0], rtol=2e-5)
