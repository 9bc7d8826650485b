"""Tonight's items in one index, with the popularity of tonight, checked against exact search."""

import logging

import numpy as np
import polars as pl

from recsys_tasks.errors import EmptyPartition
from recsys_tasks.index.index import KIND, ItemIndex
from recsys_tasks.lake.snapshot import Snapshot
from recsys_tasks.model.popularity import popularity_matrix
from recsys_tasks.model.towers import TowerModel
from recsys_tasks.model.vectors import TextVectors
from recsys_tasks.steps.job import Job
from recsys_tasks.workspace import Artefact, Facts

log = logging.getLogger(__name__)

ROOMS = ("index", "model", "schema")
CHECKED_USERS = 256


def run(job: Job) -> Facts:
    """Make the artefact ``index`` over the items a list of tonight may hold."""
    towers, vectors = (job.workspace.need(name, job.night) for name in ("towers", "vectors"))
    with job.workspace.artefact(
        "index",
        job.night,
        inputs={"towers": towers.ref, "vectors": vectors.ref, "lake": job.lake.state(job.night)},
        settings={},
        rooms=ROOMS,
        seed=job.settings.seed,
        recorded=job.lake.versions(),
    ) as draft:
        if draft.is_new:
            index, recall = _build(job, towers, vectors)
            index.save(draft.path)
            draft.metrics.update(recall_vs_exact=recall, items=len(index), dim=index.dim, kind=KIND)
        facts = draft.metrics if draft.is_new else draft.artefact.metrics
    return {"artefact": draft.artefact.ref, "reused": not draft.is_new, **facts}


def _build(job: Job, towers: Artefact, vectors: Artefact) -> tuple[ItemIndex, float]:
    """The index, and its recall against exact search over a sample of shoppers."""
    snapshot = job.lake.snapshot(job.night.as_of)
    model, text = TowerModel.load(towers.path), TextVectors.load(vectors.path)
    eligible = snapshot.eligible()
    if eligible.is_empty():
        raise EmptyPartition(f"night {job.night}: no item of the catalogue may be recommended")
    popularity = popularity_matrix(
        snapshot.events, job.night.as_of, eligible, model.facts.popularity_days, model.facts.event_weights
    )
    index = ItemIndex.build(eligible, model.item_matrix(eligible, text.of(eligible), popularity))
    users = _sample(snapshot.events, job.settings.seed)
    recall = index.self_check(_user_rows(model, text, snapshot, users))
    log.info("%d items of width %d; recall against exact search %.4f", len(index), index.dim, recall)
    return index, round(recall, 6)


def _sample(events: pl.DataFrame, seed: int) -> pl.Series:
    users = events["user_id"].unique().sort()
    chosen = np.random.default_rng(seed).permutation(len(users))[:CHECKED_USERS]
    return users[np.sort(chosen)]


def _user_rows(model: TowerModel, text: TextVectors, snapshot: Snapshot, users: pl.Series) -> np.ndarray:
    items = snapshot.items["item_id"]
    return model.user_matrix(users, snapshot.events, snapshot.as_of, items, text.of(items))
