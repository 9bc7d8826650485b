"""Every shopper's list, from the model that the gate chose."""

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from recsys_tasks.errors import EmptyPartition
from recsys_tasks.recommend.candidates import SHOPWIDE
from recsys_tasks.recommend.model import Model
from recsys_tasks.recommend.recommend import Recommender, counts_by_source
from recsys_tasks.schema import Recommendations
from recsys_tasks.steps.champion import context_of
from recsys_tasks.steps.evaluate import list_settings
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.rooms import LIST_ROOMS
from recsys_tasks.steps.serving import chosen, refit_of, serving_model
from recsys_tasks.workspace import Draft, Facts

log = logging.getLogger(__name__)

ROOMS = (*LIST_ROOMS, "steps/recommend", "steps/serving")
LISTS = "lists.parquet"


def run(job: Job) -> Facts:
    """
    Make the artefact ``lists``: lists.parquet with the Recommendations contract, a list for every known shopper.

    Raises MissingArtefact where the gate has not decided on this night, or where its model waits for its refit.
    """
    made_by, refs = chosen(job)
    refit = refit_of(job, made_by, refs)
    with job.workspace.artefact(
        "lists",
        job.night,
        inputs={"model": refs, "lake": job.lake.state(job.night), **refit},
        settings=list_settings(job) | {"top_k": job.top_k},
        rooms=ROOMS,
        seed=job.settings.seed,
        recorded=job.lake.read_by(job.night),
    ) as draft:
        if draft.is_new:
            draft.metrics.update(made_by=made_by, refs=refs, **refit)
            _write(job, serving_model(job, refs, refit.get("refit")), draft)
        facts = draft.metrics if draft.is_new else draft.artefact.metrics
    return {"artefact": draft.artefact.ref, "reused": not draft.is_new, **facts}


def _write(job: Job, model: Model, draft: Draft) -> None:
    snapshot = job.lake.snapshot(job.night.as_of)
    made = Recommender(model, context_of(job, snapshot))
    if not made.context.allowed.any():
        raise EmptyPartition(
            f"night {job.night}: the rules leave no item to recommend: {made.context.dropped}"
        )
    figures = _stream(made, job, draft.path)
    draft.metrics.update(
        model=model.ref,
        top_k=job.top_k,
        items_allowed=int(made.context.allowed.sum()),
        dropped=made.context.dropped,
        **figures,
    )


def _stream(made: Recommender, job: Job, folder: Path) -> Facts:
    """Write the lists batch by batch, so that memory does not grow with the shoppers; count what was written."""
    users = made.context.snapshot.events["user_id"].unique().sort()
    sources: Counter[str] = Counter()
    shoppers = rows = fallback = 0
    parts: list[Path] = []
    for batch in _batches(made, users, job):
        parts.append(folder / f"part-{len(parts):05d}.parquet")
        batch.write_parquet(parts[-1])
        sources += counts_by_source(batch)
        rows += len(batch)
        alone = batch.group_by("user_id").agg(pl.col("source").is_in(SHOPWIDE).all())["source"]
        shoppers, fallback = shoppers + len(alone), fallback + int(alone.sum())
        log.info("%d of %d shoppers", shoppers, len(users))
    pl.scan_parquet(parts).sink_parquet(folder / LISTS)
    for part in parts:
        part.unlink()
    # A shopper is served by the fallback where no row comes from what the shopper did.
    share = round(fallback / max(shoppers, 1), 6)
    return {
        "users": shoppers,
        "rows": rows,
        "by_source": dict(sorted(sources.items())),
        "fallback_share": share,
    }


def _batches(made: Recommender, users: pl.Series, job: Job) -> Iterator[pl.DataFrame]:
    new_only = not job.settings.rules.repeats_allowed
    for batch in made.batches(users, job.top_k, new_only=new_only):
        yield Recommendations.validate(batch)
