"""The linear map behind a text encoder: where its training begins, and what it is used behind afterwards."""

import logging
from collections.abc import Sequence

import numpy as np
import torch

from recsys_tasks.model.arrays import Floats
from recsys_tasks.model.whiten import Whitening
from recsys_tasks.settings import EncoderSettings
from recsys_tasks.training.batch_names import named_texts
from recsys_tasks.training.encoder_data import EncoderData
from recsys_tasks.training.encoder_steps import HistorySteps
from recsys_tasks.training.minimise import Care, minimise
from recsys_tasks.training.processes import Processes
from recsys_tasks.training.projection import Bank, Projection

log = logging.getLogger("finetune")

SCALAR_LEARNING_RATE = 1e-2
"""Of the temperature and the weights of popularity: a few numbers that have to arrive in a few steps."""


def projection_of(data: EncoderData, settings: EncoderSettings, vectors: Floats, device: str) -> Projection:
    """The whitening of the texts that may be learned from."""
    whitening = Whitening.fit(vectors[~data.held_out])
    return Projection(whitening, settings.temperature, data.popularity.shape[2]).to(device)


def fit_projection(
    data: EncoderData, texts: Sequence[str], settings: EncoderSettings, tuned: Floats, seed: int
) -> Whitening:
    """
    The linear map behind an encoder that learned from histories: its whitening, trained on where it is to be used.

    The vectors stand still, so many candidates cost little.
    """
    projection = projection_of(data, settings, tuned, "cpu")
    if settings.projection_steps == 0:
        return projection.whitening()
    bank = Bank.of(torch.from_numpy(tuned), projection)
    training = HistorySteps(
        data,
        settings,
        projection,
        bank,
        positives=settings.batch_texts,
        sampled=settings.sampled_negatives,
        seed=seed + 1,
    )
    log.info("%d steps of the projection", settings.projection_steps)
    groups = [
        {"params": [projection.rotation], "lr": settings.projection_learning_rate, "weight_decay": 0.0},
        {"params": projection.scalars(), "lr": SCALAR_LEARNING_RATE, "weight_decay": 0.0},
    ]
    care = Care(
        batch_of=lambda step: named_texts(texts, training.positives_of(step)),
        advice="Lower encoder.projection_learning_rate, or raise encoder.temperature",
    )
    minimise(
        lambda step: training.loss(step, bank.rows), groups, settings.projection_steps, Processes(), care=care
    )
    return projection.whitening()


def recentred(data: EncoderData, start: Floats, tuned: Floats) -> Whitening:
    """
    The map behind an encoder that learned from pairs or views: the axes it learned behind, about its own mean.

    Axes of the tuned vectors would damp just what the training made strong. But about the old mean all texts share the
    way that they went together, and so do all histories: measured far worse (docs/quality.md, "What the encoder learns
    from").
    """
    free = ~data.held_out
    return Whitening(
        tuned[free].mean(axis=0, dtype=np.float64).astype(np.float32), Whitening.fit(start[free]).rotation
    )
