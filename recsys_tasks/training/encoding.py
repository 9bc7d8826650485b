"""Texts through a split encoder: all of them without gradient, or some with."""

import logging

import numpy as np
import torch
from torch import Tensor

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


def encode(split: SplitEncoder, states: States, codes: Positions, device: str) -> Tensor:
    """The vectors of these texts, in their order."""
    ordered = by_length(states.lengths, codes)
    back = np.argsort(np.argsort(states.lengths[codes] * len(states.lengths) + codes))
    return _ordered(split, states, ordered, device)[torch.from_numpy(back)]


def _ordered(split: SplitEncoder, states: States, codes: Positions, device: str) -> Tensor:
    with autocast(device):
        vectors: Tensor = split(*states.of(codes))
    return vectors.float()
