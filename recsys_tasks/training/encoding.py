"""
Texts through a split encoder: all of them without gradient, or some with.

A batch may be larger than memory: then its texts go through in chunks that keep no activations, the loss gives the
gradient of every vector, and chunk after chunk goes through again, with activations, to carry it into the weights.
This is gradient caching (Gao et al. 2021, arXiv 2101.06983, section 3.2): the gradient of the whole batch for the
memory of a chunk and one more forward pass. torch's checkpoints do the bookkeeping.
"""

import logging

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from recsys_tasks.model.arrays import Floats, Positions
from recsys_tasks.model.encoder import autocast
from recsys_tasks.model.progress import progress_lines
from recsys_tasks.training.layers import SplitEncoder, States, by_length, token_batches

log = logging.getLogger("finetune")


def encode_all(split: SplitEncoder, states: States, device: str) -> Floats:
    """The vectors of all texts as the encoder is now."""
    everything = np.arange(len(states.lengths))
    vectors = np.empty((len(everything), split.width), dtype=np.float32)
    tell, done = progress_lines(log, "texts encoded"), 0
    with torch.no_grad():
        for codes in token_batches(states.lengths, everything):
            vectors[codes] = _ordered(split, states, codes, device).cpu().numpy()
            done += len(codes)
            tell(done, len(everything))
    return vectors


def encode(
    split: SplitEncoder, states: States, codes: Positions, device: str, chunk_texts: int | None = None
) -> Tensor:
    """The vectors of these texts, in their order; ``chunk_texts`` go through the learning layers at a time."""
    ordered = by_length(states.lengths, codes)
    back = np.argsort(np.argsort(states.lengths[codes] * len(states.lengths) + codes))
    if chunk_texts is None:
        return _ordered(split, states, ordered, device)[torch.from_numpy(back)]
    chunks = np.split(ordered, range(chunk_texts, len(ordered), chunk_texts))
    vectors = [
        checkpoint(_forward, split, *states.of(chunk), device, use_reentrant=False, preserve_rng_state=False)
        for chunk in chunks
    ]
    return torch.cat(vectors)[torch.from_numpy(back)]


def _ordered(split: SplitEncoder, states: States, codes: Positions, device: str) -> Tensor:
    return _forward(split, *states.of(codes), device)


def _forward(split: SplitEncoder, states: Tensor, lengths: list[int], device: str) -> Tensor:
    with autocast(device):
        vectors: Tensor = split(states, lengths)
    return vectors.float()
