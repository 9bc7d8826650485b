"""Smaller encoders: the first layers of a model, and a model whose linear layers compute in int8."""

import warnings
from pathlib import Path

import numpy as np

from benchmarks.spent import spent
from recsys_tasks.model.arrays import Floats
from recsys_tasks.model.encoder import TextEncoder
from recsys_tasks.model.whiten import Whitening

NEIGHBOURS = 10
ROWS_AT_A_TIME = 1_024


def first_layers(model: Path, count: int, target: Path) -> Path:
    """A copy of a BERT in ``target`` that ends after ``count`` layers."""
    encoder = TextEncoder.load(model, max_tokens=512, device="cpu")
    encoder.model.encoder.layer = encoder.model.encoder.layer[:count]
    encoder.model.config.num_hidden_layers = count
    encoder.save(target)
    return target


def in_int8(encoder: TextEncoder) -> TextEncoder:
    """The same encoder with weights in int8 and states made int8 for each product, layer by layer (on a CPU)."""
    import torch
    from torch.ao.quantization import quantize_dynamic

    with warnings.catch_warnings():
        # PyTorch moves it to a package of its own.
        warnings.simplefilter("ignore")
        model = quantize_dynamic(encoder.model, {torch.nn.Linear}, dtype=torch.qint8)
    return TextEncoder(model, encoder.tokenizer, encoder.max_tokens, "cpu")


def weights_mb(model: Path) -> float:
    return sum(file.stat().st_size for file in model.glob("*.safetensors")) / 1e6


def int8_figures(model: Path, texts: list[str], max_tokens: int) -> dict[str, float]:
    """CPU seconds in fp32 and in int8, and how many of a text's nearest ten texts stay, both whitened."""
    exact = TextEncoder.load(model, max_tokens, "cpu")
    quantised = in_int8(exact)
    vectors, cost = spent(lambda: exact.encode(texts))
    rough, rough_cost = spent(lambda: quantised.encode(texts))
    before, after = (nearest(Whitening.fit(some).apply(some)) for some in (vectors, rough))
    return {
        "cpu_fp32": cost["cpu"],
        "cpu_int8": rough_cost["cpu"],
        "kept_neighbours": kept_neighbours(before, after),
    }


def nearest(unit: Floats, count: int = NEIGHBOURS) -> np.ndarray:
    """The rows with the largest products with each row, itself left out; (n, count), in no order."""
    count = min(count, len(unit) - 1)
    found = np.empty((len(unit), count), dtype=np.int64)
    for start in range(0, len(unit), ROWS_AT_A_TIME):
        scores = unit[start : start + ROWS_AT_A_TIME] @ unit.T
        own = np.arange(len(scores))
        scores[own, start + own] = -np.inf
        found[start : start + len(scores)] = np.argpartition(-scores, count - 1, axis=1)[:, :count]
    return found


def kept_neighbours(before: np.ndarray, after: np.ndarray) -> float:
    """The mean share of each row of ``before`` that stands in the same row of ``after``."""
    shares = [np.isin(row, other).mean() for row, other in zip(before, after, strict=True)]
    return float(np.mean(shares))
