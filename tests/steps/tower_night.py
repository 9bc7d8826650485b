"""A small night up to its text vectors: what the towers and the index are built from."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl

from recsys_tasks.model.vectors import TextVectors
from recsys_tasks.settings import RankerSettings, RuleSettings, TowerSettings
from recsys_tasks.steps import build_pairs
from tests.pairs.night import ITEMS, NIGHT, ShopSettings, SmallJob, small_job

ENCODER = "encoder/2026-04-10/0123456789abcdef"
TEXT_DIM = 8


@dataclass(frozen=True)
class TowerShop(ShopSettings):
    towers: TowerSettings = field(
        default_factory=lambda: TowerSettings(
            dim=8, epochs=2, warm_epochs=1, batch_examples=32, neighbour_rank=4
        )
    )
    ranker: RankerSettings = field(default_factory=RankerSettings)
    rules: RuleSettings = field(default_factory=RuleSettings)


@dataclass(frozen=True)
class TowerJob(SmallJob):
    settings: TowerShop = field(default_factory=TowerShop)


AnyJob = TypeVar("AnyJob", bound=TowerJob)


def tower_job(folder: Path, events: pl.DataFrame | None = None) -> TowerJob:
    """A job whose pairs and vectors are made."""
    small = small_job(folder, events)
    job = TowerJob(small.workspace, small.lake)
    build_pairs.run(job)
    make_vectors(job)
    return job


def refitting(job: AnyJob, epochs: int = 1) -> AnyJob:
    """The job, asking for a refit."""
    towers = job.settings.towers.model_copy(update={"refit_epochs": epochs})
    return replace(job, settings=replace(job.settings, towers=towers))


def make_vectors(job: SmallJob, encoder: str = ENCODER) -> None:
    """The artefact ``vectors`` as the encoder would leave it."""
    ids = pl.Series([*ITEMS, "launch"])
    rows = np.random.default_rng(2).normal(size=(len(ids), TEXT_DIM)).astype(np.float32)
    with job.workspace.artefact(
        "vectors", NIGHT, inputs={"encoder": encoder}, settings={}, rooms=("schema",)
    ) as draft:
        if draft.is_new:
            TextVectors(ids, rows / np.linalg.norm(rows, axis=1, keepdims=True)).save(draft.path)
