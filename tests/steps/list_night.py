"""A small night up to its index: what models, gate and lists are made from."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from recsys_tasks.lake.tables import Lake
from recsys_tasks.recommend.model import PopularModel
from recsys_tasks.settings import GateSettings, RankerSettings, RuleSettings
from recsys_tasks.steps import build_index, build_pairs, train_ranker, train_towers
from recsys_tasks.steps.champion import challenger_refs
from recsys_tasks.store.store import Store, open_store
from recsys_tasks.workspace import Workspace
from tests.pairs.night import ITEMS, small_job
from tests.pairs.shop import log
from tests.steps.tower_night import TowerJob, TowerShop, make_vectors

SHOPPERS = 30


@dataclass(frozen=True)
class ListShop(TowerShop):
    ranker: RankerSettings = field(
        default_factory=lambda: RankerSettings(
            days=14, label_days=7, enough_taken=100, trees=15, per_source=15, history_items=20
        )
    )
    gate: GateSettings = field(default_factory=lambda: GateSettings(resamples=100))
    rules: RuleSettings = field(default_factory=RuleSettings)


@dataclass(frozen=True, kw_only=True)
class ListJob(TowerJob):
    settings: ListShop = field(default_factory=ListShop)
    store: Store
    top_k: int = 12


def staple_log() -> pl.DataFrame:
    """Shoppers who buy two staples again and again, and a third item by chance; a late-comer at the very end."""
    rng = np.random.default_rng(3)
    rows = []
    for shopper in range(SHOPPERS):
        staples = rng.choice(ITEMS, size=2, replace=False)
        for visit in range(shopper % 4, 102, 4):
            for item in sorted({*staples, rng.choice(ITEMS)}):
                rows.append((f"c{shopper:02}", str(item), "purchase", visit + 0.6))
    return log(*rows, ("late", "i03", "purchase", 97.0))


def decided(job: ListJob, accepted: bool = True) -> ListJob:
    """The job, its gate's decision on tonight's model recorded; the champion is popularity."""
    refs, popular = challenger_refs(job), {"model": PopularModel().ref}
    job.store.record_decision(
        job.night.date, accepted=accepted, refs=refs, champion=popular, metrics={}, why="for a test"
    )
    return job


def list_job(folder: Path, events: pl.DataFrame | None = None, **changed: object) -> ListJob:
    """A job whose vectors, towers, ranker and index are made."""
    job = bare_job(folder, events, **changed)
    build_pairs.run(job)
    make_vectors(job)
    train_towers.run(job)
    train_ranker.run(job)
    build_index.run(job)
    return job


def bare_job(folder: Path, events: pl.DataFrame | None = None, **changed: object) -> ListJob:
    """A job with a lake and an empty store."""
    small_job(folder, staple_log() if events is None else events)
    job = reopened(folder, **changed)
    job.store.migrate()
    return job


def reopened(folder: Path, **changed: object) -> ListJob:
    """The job of a folder where everything lies already."""
    workspace = Workspace(folder)
    store = open_store(f"sqlite:///{folder / 'serve.db'}", folder / "postgres")
    return ListJob(workspace, Lake(workspace.lake), store=store, **changed)
