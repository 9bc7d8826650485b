import numpy as np
import pytest
import torch

from recsys_tasks.errors import SettingsError
from recsys_tasks.model.encoder import TextEncoder
from recsys_tasks.training import layers
from recsys_tasks.training.layers import SplitEncoder, States, by_length, token_batches
from recsys_tasks.training.packed import equal_lengths
from tests.tiny_decoder import FAMILIES, tiny_decoder
from tests.tiny_encoder import LAYERS, tiny_encoder

TEXTS = ["red tent", "a", "blue sleeping bag 2", "mug", "tent", "a big stove"]


BASES = ("bert", *FAMILIES)


def loaded(folder, family="bert", pooling="auto"):
    base = tiny_encoder(folder) if family == "bert" else tiny_decoder(folder, family=family)
    return TextEncoder.load(base, max_tokens=32, device="cpu", pooling=pooling)


@pytest.fixture
def encoder(tmp_path):
    return loaded(tmp_path / "tiny")


@pytest.mark.parametrize(
    ("family", "pooling"),
    [*((family, "auto") for family in BASES), ("bert", "last"), ("gpt2", "mean")],
)
@pytest.mark.parametrize("frozen", [0, LAYERS - 1])
def test_the_parts_together_are_the_whole_model(tmp_path, family, frozen, pooling):
    encoder = loaded(tmp_path / "tiny", family, pooling)
    expected = encoder.encode(TEXTS)
    split = SplitEncoder(encoder.model, frozen, encoder.pooling)
    states = States(split, encoder.tokenise(TEXTS))
    states.keep()
    codes = by_length(states.lengths, np.arange(len(TEXTS)))
    assert len(set(states.lengths.tolist())) >= 4
    np.testing.assert_allclose(split(*states.of(codes)).detach().numpy(), expected[codes], atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_packed_layers_of_a_decoder_equal_the_library_s_own_padded_forward(tmp_path, family):
    encoder = loaded(tmp_path / "tiny", family)
    tokens = sorted(encoder.tokenise(TEXTS), key=len)
    padded = torch.nn.utils.rnn.pad_sequence([torch.tensor(ids) for ids in tokens], batch_first=True)
    mask = torch.arange(padded.shape[1])[None] < torch.tensor([len(ids) for ids in tokens])[:, None]
    with torch.no_grad():
        states = encoder.model(input_ids=padded, attention_mask=mask.long()).last_hidden_state
        split = SplitEncoder(encoder.model, 1)
        packed = split.upper(split.lower(tokens), [len(ids) for ids in tokens])
    torch.testing.assert_close(packed, states[mask], atol=1e-5, rtol=0)


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


@pytest.mark.parametrize("family", FAMILIES)
def test_what_stands_above_a_decoder_s_layers_learns_too(tmp_path, family):
    encoder = loaded(tmp_path / "tiny", family)
    split = SplitEncoder(encoder.model, 2)
    states = States(split, encoder.tokenise(TEXTS))
    split(*states.of(by_length(states.lengths, np.arange(3)))).square().sum().backward()
    learning = {name for name, parameter in encoder.model.named_parameters() if parameter.grad is not None}
    above = "ln_f" if family == "gpt2" else "norm"
    assert {name.split(".")[0] for name in learning} == {above, "h" if family == "gpt2" else "layers"}
    assert all(".2." in name for name in learning if not name.startswith(above))


@pytest.mark.parametrize("family", BASES)
def test_a_twin_stays_where_its_encoder_was(tmp_path, family):
    encoder = loaded(tmp_path / "tiny", family)
    split = SplitEncoder(encoder.model, 1)
    twin = split.twin()
    states = States(split, encoder.tokenise(TEXTS))
    some = states.of(by_length(states.lengths, np.arange(4)))
    before = split(*some).detach()
    with torch.no_grad():
        for parameter in split.learning.parameters():
            parameter.mul_(1.5)
    torch.testing.assert_close(twin(*some), before, atol=0, rtol=0)
    assert not torch.allclose(split(*some), before)
    assert not any(parameter.requires_grad for parameter in twin.learning.parameters())
    assert all(parameter.requires_grad for parameter in split.learning.parameters())


def test_a_model_of_another_build_is_refused():
    with pytest.raises(SettingsError, match="expected a model of the BERT family"):
        SplitEncoder(torch.nn.Linear(2, 2), 0)


def test_a_full_memory_is_not_taken_for_a_model_of_another_build(encoder, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(SplitEncoder, "upper", full)
    with pytest.raises(torch.OutOfMemoryError):
        SplitEncoder(encoder.model, 1)


def test_a_model_that_only_looks_like_its_family_is_refused(tmp_path):
    """A Gemma 2 has the modules of a Llama and more between them: trained as one it would learn nonsense."""
    with pytest.raises(SettingsError, match="not built like"):
        SplitEncoder(loaded(tmp_path / "tiny", "gemma2").model, 1)


def test_runs_of_equal_length():
    assert equal_lengths([3, 3, 5, 7, 7, 7]) == [(0, 2, 3), (2, 1, 5), (3, 3, 7)]


def test_token_batches_hold_every_text_once(monkeypatch):
    monkeypatch.setattr(layers, "TOKENS_AT_A_TIME", 10)
    lengths = np.array([4, 2, 6, 2, 3, 5])
    batches = token_batches(lengths, np.arange(6))
    assert np.concatenate(batches).tolist() == [1, 3, 4, 0, 5, 2]
    assert len(batches) > 1
