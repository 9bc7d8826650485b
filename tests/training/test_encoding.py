"""Gradient caching: chunks of a batch give the vectors and the gradient of the whole."""

import numpy as np
import pytest
import torch

from recsys_tasks.model.encoder import TextEncoder
from recsys_tasks.model.whiten import Whitening
from recsys_tasks.settings import EncoderSettings
from recsys_tasks.settings.backbone import LoraSettings
from recsys_tasks.training import finetune, job_folder
from recsys_tasks.training.encoder_data import POPULARITY_DAYS, encoder_data, held_out, known_texts
from recsys_tasks.training.encoder_steps import HistorySteps
from recsys_tasks.training.encoding import encode, encode_all
from recsys_tasks.training.layers import SplitEncoder, States
from recsys_tasks.training.lora import adapt
from recsys_tasks.training.pair_steps import PairSteps
from recsys_tasks.training.projection import Bank, Projection
from tests.tiny_encoder import tiny_encoder
from tests.training import text_shop
from tests.training.test_finetune import job
from tests.training.test_pair_steps import OBJECTIVES
from tests.training.text_shop import CUT, WEIGHTS
from tests.training.trained import trained

CHUNK = 3


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_encoder(tmp_path_factory.mktemp("tiny"), words=text_shop.WORDS)


class Bench:
    """The test shop's steps over a tiny encoder."""

    def __init__(self, base, objective):
        source = text_shop.source(with_pairs=True)
        texts = known_texts(source.events, CUT, WEIGHTS)
        data = encoder_data(
            source, texts, held_out(texts, 0.2, 1), cut=CUT, weights=WEIGHTS, examples=100, seed=1
        )
        encoder = TextEncoder.load(base, 16, "cpu")
        self.split = SplitEncoder(encoder.model, 1)
        self.states = States(self.split, encoder.tokenise(texts.to_list()))
        raw = torch.from_numpy(encode_all(self.split, self.states, "cpu"))
        projection = Projection(Whitening.fit(raw.numpy()), 0.05, len(POPULARITY_DAYS))
        bank = Bank.of(raw, projection)
        torch.manual_seed(0)
        if objective == "history":
            settings = EncoderSettings(batch_texts=16)
            steps = HistorySteps(data, settings, projection, bank, positives=8, sampled=8, seed=1)
            self.loss = steps.loss
        else:
            settings = EncoderSettings(objective="pairs", batch_texts=16, contrast={"objective": objective})
            pairs = PairSteps(data, settings, projection, bank, seed=1)
            slow = self.split.twin()
            self.loss = lambda step, fresh: pairs.loss(step, fresh, self.encode(CHUNK, slow))

    def encode(self, chunk, split=None):
        return lambda codes: encode(split or self.split, self.states, codes, "cpu", chunk)

    def gradient(self, chunk):
        for parameter in self.split.trained():
            parameter.grad = None
        loss = self.loss(0, self.encode(chunk))
        loss.backward()
        return loss.item(), torch.cat([parameter.grad.flatten() for parameter in self.split.trained()])


@pytest.mark.parametrize("objective", ["history", *OBJECTIVES])
def test_chunks_give_the_gradient_of_the_whole_batch(base, objective):
    bench = Bench(base, objective)
    (whole, expected), (chunked, found) = bench.gradient(None), bench.gradient(CHUNK)
    assert chunked == pytest.approx(whole, rel=1e-6)
    assert expected.norm() > 1e-3
    torch.testing.assert_close(found, expected, atol=1e-6 * float(expected.abs().max()), rtol=1e-4)


def test_adapters_get_the_gradient_of_the_whole_batch_too(base):
    bench = Bench(base, "info_nce")
    adapt(bench.split, LoraSettings(rank=2))
    (_, expected), (_, found) = bench.gradient(None), bench.gradient(CHUNK)
    torch.testing.assert_close(found, expected, atol=1e-6 * float(expected.abs().max()), rtol=1e-4)


@pytest.mark.parametrize("chunk", [1, 3, 7, 100])
def test_vectors_stand_in_the_order_of_their_codes(base, chunk):
    bench = Bench(base, "history")
    codes = np.array([5, 0, 11, 3, 8, 2, 7])
    torch.testing.assert_close(bench.encode(chunk)(codes), bench.encode(None)(codes), atol=1e-6, rtol=0)


def test_a_chunked_batch_holds_no_activations_until_they_are_needed(base):
    bench = Bench(base, "history")
    codes = np.arange(15)
    held = {}
    for chunk in (None, 5):
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor, sizes=sizes: sizes.append(tensor.numel()) or tensor, lambda tensor: tensor
        ):
            bench.encode(chunk)(codes)
        held[chunk] = sum(sizes)
    assert held[5] < held[None] / 20


def test_a_training_in_chunks_follows_the_same_losses(tmp_path, base):
    reports, vectors = [], []
    for chunk in (None, 5):
        folder, _ = job(tmp_path / str(chunk), base, steps=5, chunk_texts=chunk)
        finetune.main(folder)
        reports.append(job_folder.read_report(folder))
        vectors.append(job_folder.read_vectors(folder))
    assert reports[0].loss_last == pytest.approx(reports[1].loss_last, rel=1e-4)
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-3)


@pytest.mark.slow
def test_two_processes_in_chunks_follow_the_same_loss_as_one_without(tmp_path, base):
    reports = []
    for processes, chunk in ((1, None), (2, 3)):
        folder, _ = job(tmp_path / str(processes), base, steps=5, chunk_texts=chunk)
        trained(finetune, folder, processes)
        reports.append(job_folder.read_report(folder))
    assert reports[0].loss_last == pytest.approx(reports[1].loss_last, rel=1e-3)
