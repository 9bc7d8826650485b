"""
The product's share of `benchmarks.training_speed`: its own steps, its own loop, its own encoder and cache.

Every function loads what it needs and returns the work that is measured.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from recsys_tasks.model.encoder import TextEncoder
from recsys_tasks.model.vector_cache import VectorCache, encode_cached
from recsys_tasks.model.whiten import Whitening
from recsys_tasks.settings import EncoderSettings
from recsys_tasks.training.encoder_data import EncoderData
from recsys_tasks.training.encoding import encode
from recsys_tasks.training.layers import SplitEncoder, States
from recsys_tasks.training.minimise import minimise
from recsys_tasks.training.objectives.batch import PairBatch
from recsys_tasks.training.objectives.similarity import similarity_of
from recsys_tasks.training.objectives.softmax import InfoNce
from recsys_tasks.training.objectives.temperature import Temperature
from recsys_tasks.training.pair_steps import PairSteps
from recsys_tasks.training.processes import Processes
from recsys_tasks.training.projection import Bank, Projection

Request = dict[str, Any]
Result = dict[str, Any]
Batch = tuple[np.ndarray, np.ndarray]


class NothingHidden(InfoNce):
    """
    InfoNCE as peers have it: an equal text is a negative too.

    The masks are made all the same, as they are part of what a step costs. ``batches`` are the texts of each step.
    """

    def __init__(self, temperature: float, width: int) -> None:
        super().__init__(similarity_of("cosine", width), Temperature("fixed", temperature))
        self.batches: list[Batch] = []

    def loss(self, batch: PairBatch) -> Tensor:
        self.batches.append((batch.anchor_texts, batch.positive_texts))
        masks = batch.hidden
        return super().loss(replace(batch, hidden=lambda texts: torch.zeros_like(masks(texts))))


def pair_data(texts: int, anchor: np.ndarray, positive: np.ndarray) -> EncoderData:
    """Pairs as `build_pairs` would hand them over, of as many shoppers, each of whom took the two texts of a pair."""
    pairs, none = len(anchor), np.empty(0, dtype=np.int64)
    return EncoderData(
        held_out=np.zeros(texts, dtype=np.bool_),
        history_start=2 * np.arange(pairs + 1),
        history_text=np.stack([anchor, positive], axis=1).ravel(),
        history_time=np.zeros(2 * pairs, dtype=np.int64),
        history_weight=np.ones(2 * pairs, dtype=np.float32),
        example_user=none,
        example_until=none,
        positive_start=np.zeros(1, dtype=np.int64),
        positive_text=none,
        popularity=np.zeros((1, texts, 2), dtype=np.float32),
        popularity_row=none,
        pair_user=np.arange(pairs),
        pair_anchor=anchor,
        pair_positive=positive,
        pair_weight=np.ones(pairs, dtype=np.float32),
        pair_negative=np.empty((pairs, 0), dtype=np.int64),
    )


def pair_steps(data: EncoderData, request: Request, width: int) -> tuple[PairSteps, NothingHidden]:
    """The product's steps over raw vectors (the projection changes nothing), with the peers' loss in them."""
    settings = EncoderSettings(
        objective="pairs", batch_texts=2 * request["pairs"], temperature=request["temperature"]
    )
    neutral = Whitening(np.zeros(width, dtype=np.float32), np.eye(width, dtype=np.float32))
    projection = Projection(neutral, settings.temperature, data.popularity.shape[2]).to(request["device"])
    # No negatives are drawn, so nobody reads the bank.
    bank = Bank.of(torch.ones(len(data.held_out), width, device=request["device"]), projection)
    steps = PairSteps(data, settings, projection, bank, request["seed"])
    objective = NothingHidden(settings.temperature, width)
    steps.objective = objective
    return steps, objective


def batches(texts: int, anchor: np.ndarray, positive: np.ndarray, request: Request) -> list[Batch]:
    """The texts of each step's pairs, without encoding any: what the peers are given."""
    steps, objective = pair_steps(pair_data(texts, anchor, positive), request, width=1)
    for step in range(request["steps"]):
        steps.loss(step, steps.bank.rows, steps.bank.rows)
    return objective.batches


def train(folder: Path, request: Request) -> Callable[[], Result]:
    """All layers learn for ``steps`` steps; the loss of each."""
    texts = pl.read_parquet(folder / "texts.parquet")["text"].to_list()
    pairs = pl.read_parquet(folder / "pairs.parquet")
    data = pair_data(len(texts), pairs["anchor"].to_numpy(), pairs["positive"].to_numpy())
    device = request["device"]
    encoder = TextEncoder.load(Path(request["model"]), request["max_tokens"], device)

    def work() -> Result:
        split = SplitEncoder(encoder.model, 0)
        # Nothing is kept of the embeddings: a few steps would pay for those of all texts.
        states = States(split, encoder.tokenise(texts))
        steps, _ = pair_steps(data, request, encoder.width)

        def fresh(codes: np.ndarray) -> Tensor:
            return encode(split, states, codes, device)

        group = {
            "params": list(split.learning.parameters()),
            "lr": request["learning_rate"],
            "weight_decay": request["weight_decay"],
        }
        losses = minimise(
            lambda step: steps.loss(step, fresh, fresh), [group], request["steps"], Processes(device=device)
        )
        return {"losses": losses}

    return work


def vectors(folder: Path, request: Request) -> Callable[[], Result]:
    """The vectors of all texts, left in ``ours.npy``."""
    texts = pl.read_parquet(folder / request["texts"])["text"].to_list()
    encoder = TextEncoder.load(Path(request["model"]), request["max_tokens"], request["device"])

    def work() -> Result:
        np.save(folder / "ours.npy", encoder.encode(texts))
        return {}

    return work


def night(folder: Path, request: Request) -> Callable[[], Result]:
    """A night's vectors, with what earlier nights left in the cache; how many texts had to be encoded."""
    texts = pl.read_parquet(folder / request["texts"])["text"].to_list()
    model = Path(request["model"])
    encoder = TextEncoder.load(model, request["max_tokens"], request["device"])

    def work() -> Result:
        cache = VectorCache.of(folder / request["cache"], model, request["max_tokens"])
        return {"encoded": encode_cached(lambda: encoder, cache, texts)[1]}

    return work
