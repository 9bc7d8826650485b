"""Where training runs: on a GPU in bf16 where there is one, in fp32 on a CPU. All but the first need a GPU."""

import json

import numpy as np
import pytest
import torch

from recsys_tasks.model.encoder import TextEncoder, takes_bf16
from recsys_tasks.training import finetune, job_folder
from recsys_tasks.training.launch import launch
from recsys_tasks.training.row_sums import RowSums
from tests.tiny_encoder import tiny_encoder
from tests.training import joining, text_shop
from tests.training.encoder_job import job
from tests.training.test_towers import fitted

pytestmark = pytest.mark.slow
on_a_card = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
on_two_cards = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
STEPS = 5


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_encoder(tmp_path_factory.mktemp("tiny"), words=text_shop.WORDS)


def losses(folder, base, processes=1):
    made, _ = job(folder, base, steps=STEPS)
    launch(finetune.__name__, made, processes)
    return job_folder.read_losses(made)


def without_cards(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def test_a_launched_worker_takes_the_card_in_bf16_or_the_cpu_in_fp32(tmp_path):
    launch(joining.__name__, tmp_path, 1)
    facts = json.loads((tmp_path / joining.FACTS).read_text())
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    assert facts == {"device": f"{kind}:0", "precision": "bf16" if takes_bf16(kind) else "no"}


@on_a_card
def test_the_card_follows_the_loss_of_the_cpu(tmp_path, base, monkeypatch):
    card = losses(tmp_path / "card", base)
    without_cards(monkeypatch)
    cpu = losses(tmp_path / "cpu", base)
    assert card != cpu, "bf16 was to be seen"
    np.testing.assert_allclose(card, cpu, atol=0.05)


@on_a_card
def test_two_runs_on_the_card_give_the_same_losses(tmp_path, base):
    assert losses(tmp_path / "a", base) == losses(tmp_path / "b", base)


@on_two_cards
def test_two_cards_follow_the_loss_of_one(tmp_path, base):
    np.testing.assert_allclose(losses(tmp_path / "two", base, 2), losses(tmp_path / "one", base), atol=0.02)


@on_a_card
def test_texts_encoded_on_the_card_are_those_of_the_cpu(base):
    texts = [f"{first} {second}" for first in text_shop.WORDS[:12] for second in text_shop.WORDS[:12]]
    card, cpu = (TextEncoder.load(base, 16, device).encode(texts) for device in ("cuda", "cpu"))
    assert np.sum(card * cpu, axis=1).min() > 0.999


@on_a_card
def test_towers_on_the_card_follow_the_loss_of_the_cpu(monkeypatch):
    card = fitted()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert card.loss_last == pytest.approx(fitted().loss_last, rel=1e-3)


@on_a_card
def test_sums_of_rows_and_what_flows_back_are_those_of_a_cpu():
    sums = RowSums.of(np.array([2, 0, 2, 1]), np.array([0, 3, 3, 4]), 3)
    table = torch.randn(3, 8, generator=torch.Generator().manual_seed(1))
    for weights in (None, torch.tensor([0.5, 2.0, -1.0, 3.0])):
        back = []
        for device in ("cpu", "cuda"):
            here = table.to(device, copy=True).requires_grad_()
            given = None if weights is None else weights.to(device)
            sums.to(here.device).over(here, given).square().sum().backward()
            back.append(here.grad.cpu())
        assert torch.allclose(*back, atol=1e-5)
