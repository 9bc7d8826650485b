"""
Fitting the towers: multi-positive sampled softmax with as-of popularity in the logit.

Pure: frames and settings in, a TowerModel out. Uses a GPU where there is one. Two runs on one machine give the
same bytes.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from recsys_tasks.lake.snapshot import Snapshot
from recsys_tasks.model.towers import TowerModel
from recsys_tasks.model.vectors import TextVectors
from recsys_tasks.settings import TowerSettings
from recsys_tasks.training.tower_catalogue import Catalogue
from recsys_tasks.training.tower_data import tower_data
from recsys_tasks.training.tower_export import model_of
from recsys_tasks.training.tower_fit import Fit
from recsys_tasks.training.tower_near import neighbour_factors


@dataclass(frozen=True)
class FitResult:
    """The fitted towers and how the fit went; losses are means over the first and the last epoch."""

    model: TowerModel
    loss_first: float
    loss_last: float
    epochs: int
    examples: int
    seconds: float


def fit_towers(
    snapshot: Snapshot,
    examples: pl.DataFrame,
    vectors: TextVectors,
    settings: TowerSettings,
    weights: Mapping[str, float],
    until: datetime,
    seed: int,
    warm: TowerModel | None = None,
    epochs: int | None = None,
) -> FitResult:
    """
    Towers fitted on what happened before ``until``, whatever later rows ``snapshot`` and ``examples`` hold.

    ``vectors`` are whitened text vectors of the catalogue; ``weights`` the event types that count, and how much.
    With ``warm``, towers fitted before, learning goes on from them (items by id; parts whose shape has changed start
    afresh). ``epochs``, where not given, are those of the settings: ``warm_epochs`` with ``warm``, else ``epochs``.
    Raises EmptyPartition where no example is left, TrainingFailed where the loss is no longer a number.
    """
    began = time.monotonic()
    data = tower_data(snapshot.events, examples, settings, weights, until)
    catalogue = Catalogue.of(data.item_ids, snapshot.items, vectors)
    fit = Fit(data, catalogue, settings, seed, warm)
    usual = settings.epochs if warm is None else settings.warm_epochs
    losses = fit.run(usual if epochs is None else epochs)
    near = neighbour_factors(snapshot.events, settings, weights, until)
    model = model_of(fit, dict(weights), until, near)
    return FitResult(model, losses[0], losses[-1], len(losses), len(data), time.monotonic() - began)
