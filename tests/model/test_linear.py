import pytest
import torch
from torch import nn
from torch.nn import functional

from recsys_tasks.model import linear
from recsys_tasks.model.encoder import TextEncoder
from recsys_tasks.model.linear import packed_linear
from tests.tiny_encoder import tiny_encoder


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(1)


def layer(generator, rows, columns, *, bias=True):
    made = nn.Linear(columns, rows, bias=bias)
    for parameter in made.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    return made


def was_changed(made):
    return "forward" in vars(made)


@pytest.mark.parametrize("shape", [(1, 7), (5, 7), (3, 4, 7)])
@pytest.mark.parametrize("bias", [True, False])
def test_the_product_is_that_of_the_layer(generator, shape, bias):
    made = layer(generator, 3, 7, bias=bias)
    states = torch.randn(shape, generator=generator)
    with torch.inference_mode(), packed_linear(nn.Sequential(made)):
        assert was_changed(made)
        found = made(states)
    torch.testing.assert_close(found, functional.linear(states, made.weight, made.bias).detach())


def test_afterwards_layers_are_as_they_were_and_learn(generator):
    made = layer(generator, 3, 7)
    with pytest.raises(RuntimeError, match="in the body"), packed_linear(made):
        raise RuntimeError("in the body")
    assert not was_changed(made)
    made(torch.ones(1, 7)).sum().backward()
    assert made.weight.grad is not None


def test_what_is_no_plain_linear_layer_of_fp32_stays(generator):
    class Doubled(nn.Linear):
        def forward(self, states):
            return 2 * super().forward(states)

    others = nn.ModuleList([Doubled(7, 3), nn.Linear(7, 3, dtype=torch.float64)])
    with packed_linear(others):
        assert not any(was_changed(other) for other in others)


def test_where_pytorch_has_no_such_call_nothing_is_changed(generator, monkeypatch):
    made = layer(generator, 3, 7)
    monkeypatch.setattr(linear, "_available", lambda: False)
    with packed_linear(made):
        assert not was_changed(made)


def test_a_call_that_means_something_else_is_not_available(monkeypatch):
    monkeypatch.setattr(linear, "_by_onednn", lambda weight, bias: lambda states: states)
    assert not linear._available.__wrapped__()


def test_asking_draws_no_random_number():
    before = torch.get_rng_state()
    linear._available.__wrapped__()
    assert torch.equal(before, torch.get_rng_state())


def test_vectors_are_those_of_the_model_itself(tmp_path):
    encoder = TextEncoder.load(tiny_encoder(tmp_path / "tiny"), max_tokens=32, device="cpu")
    found = torch.from_numpy(encoder.encode(["red tent"]))
    with torch.no_grad():
        states = encoder.model(input_ids=torch.tensor(encoder.tokenise(["red tent"]))).last_hidden_state
    torch.testing.assert_close(found, states.mean(dim=1), atol=1e-5, rtol=1e-5)
