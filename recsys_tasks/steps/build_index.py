"""Tonight's items in one index, with the popularity of tonight, checked against exact search."""

import logging

import numpy as np
import polars as pl

from recsys_tasks.errors import EmptyPartition
from recsys_tasks.index.index import KIND, ItemIndex
from recsys_tasks.model.towers import TowerModel
from recsys_tasks.model.vectors import TextVectors
from recsys_tasks.recommend.batch import Batch
from recsys_tasks.recommend.night_model import NightModel
from recsys_tasks.recommend.shoppers import Shoppers
from recsys_tasks.steps.champion import context_of
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.rooms import LIST_ROOMS
from recsys_tasks.workspace import Artefact, Draft, Facts

log = logging.getLogger(__name__)

ROOMS = (*LIST_ROOMS, "steps/build_index")
CHECKED_USERS = 256


def run(job: Job) -> Facts:
    """
    Make the artefact ``index`` over the items a list of tonight may hold.

    Where the night has no towers there is nothing to put into one: the artefact says ``fitted: false`` and ``why``.
    """
    towers = job.workspace.need("towers", job.night)
    vectors = job.workspace.at(towers.manifest["inputs"]["vectors"])
    with job.workspace.artefact(
        "index",
        job.night,
        inputs={"towers": towers.ref, "vectors": vectors.ref, "lake": job.lake.state(job.night)},
        settings={"rules": job.settings.rules.model_dump(mode="json")},
        rooms=ROOMS,
        seed=job.settings.seed,
        recorded=job.lake.versions(),
    ) as draft:
        if draft.is_new:
            _make(job, draft, towers, vectors)
        facts = draft.metrics if draft.is_new else draft.artefact.metrics
    return {"artefact": draft.artefact.ref, "reused": not draft.is_new, **facts}


def _make(job: Job, draft: Draft, towers: Artefact, vectors: Artefact) -> None:
    if not towers.metrics["fitted"]:
        draft.metrics.update(fitted=False, why=towers.metrics["why"])
        return
    fitted, text = TowerModel.load(towers.path), TextVectors.load(vectors.path)
    index, recall = checked_index(job, NightModel(towers.ref, fitted, text, None, job.settings.ranker))
    index.save(draft.path)
    draft.metrics.update(fitted=True, recall_vs_exact=recall, items=len(index), dim=index.dim, kind=KIND)


def checked_index(job: Job, model: NightModel) -> tuple[ItemIndex, float]:
    """
    The index over the items that the shop's rules allow tonight, and its recall against exact search over a sample of
    shoppers. It is what tonight's lists search: made by the model that asks it.
    """
    snapshot = job.lake.snapshot(job.night.as_of)
    context = context_of(job, snapshot)
    if not context.allowed.any():
        raise EmptyPartition(f"night {job.night}: the rules leave no item to recommend: {context.dropped}")
    sight = model.at(context).sight
    index = sight.fresh_index()
    some = Shoppers(context, _sample(snapshot.events, job.settings.seed))
    recall = index.self_check(Batch(some, sight).users)
    log.info("%d items of width %d; recall against exact search %.4f", len(index), index.dim, recall)
    return index, round(recall, 6)


def _sample(events: pl.DataFrame, seed: int) -> pl.Series:
    users = events["user_id"].unique().sort()
    chosen = np.random.default_rng(seed).permutation(len(users))[:CHECKED_USERS]
    return users[np.sort(chosen)]
