import numpy as np
import pytest
import torch

from recsys_tasks.errors import SettingsError
from recsys_tasks.model.encoder import TextEncoder
from recsys_tasks.training import layers
from recsys_tasks.training.layers import SplitEncoder, States, by_length, equal_lengths, token_batches
from tests.tiny_encoder import LAYERS, tiny_encoder

TEXTS = ["red tent", "a", "blue sleeping bag 2", "mug", "tent", "a big stove"]


@pytest.fixture
def encoder(tmp_path):
    return TextEncoder.load(tiny_encoder(tmp_path / "tiny"), max_tokens=32, device="cpu")


@pytest.mark.parametrize("frozen", range(LAYERS))
def test_the_parts_together_are_the_whole_model(encoder, frozen):
    expected = encoder.encode(TEXTS)
    split = SplitEncoder(encoder.model, frozen)
    states = States(split, encoder.tokenise(TEXTS))
    states.keep()
    codes = by_length(states.lengths, np.arange(len(TEXTS)))
    np.testing.assert_allclose(split(*states.of(codes)).detach().numpy(), expected[codes], atol=1e-5)


def test_states_that_do_not_fit_are_computed_for_each_batch(encoder, monkeypatch):
    split = SplitEncoder(encoder.model, 1)
    kept, fresh = (States(split, encoder.tokenise(TEXTS)) for _ in range(2))
    kept.keep()
    monkeypatch.setattr(layers, "KEPT_STATES_BYTES", 0)
    fresh.keep()
    codes = by_length(kept.lengths, np.array([5, 0, 2]))
    torch.testing.assert_close(fresh.of(codes)[0], kept.of(codes)[0], atol=1e-5, rtol=0)


def test_only_the_upper_layers_learn(encoder):
    split = SplitEncoder(encoder.model, 2)
    states = States(split, encoder.tokenise(TEXTS))
    split(*states.of(by_length(states.lengths, np.arange(3)))).sum().backward()
    learning = {name for name, parameter in encoder.model.named_parameters() if parameter.grad is not None}
    assert learning
    assert all(name.startswith("encoder.layer.2.") for name in learning)


def test_freezing_every_layer_is_refused(encoder):
    with pytest.raises(SettingsError, match=f"the base has {LAYERS} layers"):
        SplitEncoder(encoder.model, LAYERS)


def test_a_model_of_another_build_is_refused():
    with pytest.raises(SettingsError, match="BERT family"):
        SplitEncoder(torch.nn.Linear(2, 2), 0)


def test_runs_of_equal_length():
    assert equal_lengths([3, 3, 5, 7, 7, 7]) == [(0, 2, 3), (2, 1, 5), (3, 3, 7)]


def test_token_batches_hold_every_text_once(monkeypatch):
    monkeypatch.setattr(layers, "TOKENS_AT_A_TIME", 10)
    lengths = np.array([4, 2, 6, 2, 3, 5])
    batches = token_batches(lengths, np.arange(6))
    assert np.concatenate(batches).tolist() == [1, 3, 4, 0, 5, 2]
    assert len(batches) > 1
