"""
Linear layers through oneDNN: the same products in fp32, in a tenth less CPU time or more.

PyTorch computes ``linear`` in fp32 by MKL; oneDNN, which it carries too, has the wider kernels on processors that are
not Intel's and takes the weights in the order it reads them. Inductor compiles linear layers to the same call.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional

# The weights' order is chosen for batches of about this many tokens; others give the same numbers.
TOKENS = 4096


@contextmanager
def packed_linear(model: nn.Module) -> Iterator[None]:
    """
    While the body runs, the model's plain linear layers compute by oneDNN, without gradient.

    Weights are copied, so they must not change meanwhile. On a GPU, and where this PyTorch has no such call, nothing
    is changed.
    """
    layers = _plain_layers(model) if _available() else []
    try:
        for layer in layers:
            vars(layer)["forward"] = _by_onednn(layer.weight.detach(), layer.bias)
        yield
    finally:
        for layer in layers:
            # It hid the class's method.
            vars(layer).pop("forward", None)


def _plain_layers(model: nn.Module) -> list[nn.Linear]:
    """Linear layers of fp32 on a CPU, and no subclass, which may mean something else by it."""
    return [
        layer
        for layer in model.modules()
        if type(layer) is nn.Linear
        and layer.weight.device.type == "cpu"
        and layer.weight.dtype == torch.float32
    ]


def _by_onednn(weight: Tensor, bias: Tensor | None) -> Callable[[Tensor], Tensor]:
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, TOKENS)

    def forward(states: Tensor) -> Tensor:
        out: Tensor = torch.ops.mkldnn._linear_pointwise(states, packed, bias, "none", [], "")
        return out

    return forward


@cache
def _available() -> bool:
    """The calls are not among PyTorch's public ones: another version may lack them, or mean something else by them."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    weight, bias, states = (torch.linspace(-1, 1, size) for size in (64, 8, 16))
    weight, states = weight.view(8, 8), states.view(2, 8)
    try:
        with torch.inference_mode():
            found = _by_onednn(weight, bias)(states)
        return torch.allclose(found, functional.linear(states, weight, bias), atol=1e-5)
    except (AttributeError, RuntimeError, TypeError):
        return False
