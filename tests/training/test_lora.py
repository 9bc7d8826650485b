import numpy as np
import pytest
import torch
from transformers import AutoModel

from recsys_tasks.model.encoder import TextEncoder
from recsys_tasks.settings.backbone import LoraSettings
from recsys_tasks.training import finetune, job_folder
from recsys_tasks.training.layers import SplitEncoder, States, by_length
from recsys_tasks.training.lora import adapt, adapters
from tests.tiny_decoder import tiny_decoder
from tests.tiny_encoder import tiny_encoder
from tests.training import text_shop
from tests.training.test_finetune import job

TEXTS = ["red tent", "a", "blue sleeping bag 2", "mug", "tent"]
# What a layer is made of that multiplies by a matrix.
LINEAR = {"bert": 6, "gpt2": 4, "llama": 7}
RATES = {"learning_rate": 1e-2, "lora": {"rank": 4, "alpha": 8}}


@pytest.fixture(scope="module", params=LINEAR)
def base(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    if request.param == "bert":
        return tiny_encoder(folder, words=text_shop.WORDS)
    return tiny_decoder(folder, words=text_shop.WORDS, family=request.param)


def split_of(folder, frozen=1):
    torch.manual_seed(3)
    encoder = TextEncoder.load(folder, max_tokens=32, device="cpu")
    split = SplitEncoder(encoder.model, frozen, encoder.pooling)
    states = States(split, encoder.tokenise(TEXTS))
    return encoder, split, states.of(by_length(states.lengths, np.arange(len(TEXTS))))


def moved(split):
    """Let every adapter have learned something."""
    with torch.no_grad():
        for name, parameter in split.learning.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)


def test_only_adapters_learn_and_every_matrix_of_a_learning_layer_has_one(base):
    encoder, split, states = split_of(base)
    adapt(split, LoraSettings(rank=2))
    split(*states).square().sum().backward()
    touched = [name for name, parameter in encoder.model.named_parameters() if parameter.grad is not None]
    assert all("lora_" in name for name in touched)
    assert len(touched) == 2 * 2 * LINEAR[encoder.model.config.model_type]
    assert len(split.trained()) == len(touched)
    assert not any("lora_" in name for name, _ in split.frozen.named_parameters())


def test_the_start_is_the_pretrained_model(base):
    _, split, states = split_of(base)
    before = split(*states).detach()
    adapt(split, LoraSettings())
    torch.testing.assert_close(split(*states).detach(), before, atol=1e-6, rtol=0)


def test_an_adapter_adds_alpha_over_rank_times_b_times_a(tmp_path):
    encoder, split, _ = split_of(tiny_encoder(tmp_path / "tiny"), frozen=2)
    adapt(split, LoraSettings(rank=2, alpha=6))
    moved(split)
    query = encoder.model.encoder.layer[2].attention.self.query
    x, expected = torch.randn(32), query.base_layer.bias.detach().clone()
    a, b, w = query.lora_A.default.weight, query.lora_B.default.weight, query.base_layer.weight
    for out in range(32):
        for i in range(32):
            inner = sum(b[out, r] * a[r, i] for r in range(2))
            expected[out] += ((w[out, i] + 6.0 / 2 * inner) * x[i]).detach()
    torch.testing.assert_close(query(x[None])[0].detach(), expected, atol=1e-5, rtol=1e-5)


def test_merged_vectors_are_those_of_the_adapters_and_the_model_is_its_own_self_again(base, tmp_path):
    encoder, split, states = split_of(base)
    names = list(encoder.model.state_dict())
    with adapters(split, LoraSettings(rank=4)):
        moved(split)
        unmerged = split(*states).detach()
    assert list(encoder.model.state_dict()) == names
    torch.testing.assert_close(split(*states).detach(), unmerged, atol=1e-5, rtol=0)
    encoder.save(tmp_path / "saved")
    again = TextEncoder.load(tmp_path / "saved", 32, "cpu").encode(TEXTS)
    order = np.argsort([len(ids) for ids in encoder.tokenise(TEXTS)], kind="stable")
    np.testing.assert_allclose(again[order], unmerged.numpy(), atol=1e-5)


def test_training_with_adapters_lowers_the_loss_and_moves_only_matrices(base, tmp_path):
    folder, texts = job(tmp_path / "job", base, **RATES)
    finetune.main(folder)
    report = job_folder.read_report(folder)
    assert report.loss_last < report.loss_first - 0.05
    before = AutoModel.from_pretrained(base).state_dict()
    after = AutoModel.from_pretrained(folder / job_folder.MODEL).state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(before[name].ndim == 2 and ".0." not in name for name in changed)
    encoded = TextEncoder.load(folder / job_folder.MODEL, 16, "cpu").encode(texts.to_list())
    np.testing.assert_allclose(encoded, job_folder.read_vectors(folder), atol=1e-5)


@pytest.mark.parametrize("objective", ["moco", "byol"])
def test_a_slow_copy_follows_the_adapters(base, tmp_path, objective):
    contrast = {"objective": objective, "momentum": 0.9}
    folder, _ = job(tmp_path / "job", base, objective="pairs", contrast=contrast, **RATES)
    finetune.main(folder)
    report = job_folder.read_report(folder)
    assert report.loss_last < report.loss_first - 0.04


def test_a_merged_model_is_where_the_next_training_starts(base, tmp_path):
    first, _ = job(tmp_path / "first", base, **RATES)
    finetune.main(first)
    # A rate that moves nothing shows where the second began.
    second, _ = job(tmp_path / "second", first / job_folder.MODEL, **{**RATES, "learning_rate": 1e-12})
    finetune.main(second)
    np.testing.assert_allclose(job_folder.read_vectors(second), job_folder.read_vectors(first), atol=1e-5)
