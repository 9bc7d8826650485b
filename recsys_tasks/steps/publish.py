"""Tonight's lists into the serving database; readers see them once they pass the audit."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from recsys_tasks.steps.job import Job
from recsys_tasks.store.load import Candidate
from recsys_tasks.workspace import Artefact, Facts

SHARD_ROWS = 200_000


def run(job: Job) -> Facts:
    """
    Publish the artefact ``lists`` of the night; ``live`` in the facts says whether readers see it afterwards.

    Raises PublishRefused where the audit fails; what was live stays live.
    """
    lists = job.workspace.need("lists", job.night)
    published = job.store.publish(
        candidate_of(job, lists),
        shards(lists.path / "lists.parquet"),
        job.settings.store,
        known_items=job.lake.catalogue(job.night.as_of)["item_id"],
        dry_run=job.options.publish == "dry_run",
        who=job.options.run_id,
    )
    generation = published.generation
    return {
        "lists": lists.ref,
        "generation": generation.id,
        "rows": generation.rows,
        "users": generation.users,
        "model": generation.model,
        "fallback_share": generation.fallback_share,
        "switched": published.switched,
        "live": published.live,
        "why": published.why,
        "audit": generation.audit,
    }


def candidate_of(job: Job, lists: Artefact) -> Candidate:
    """What the store has to know of the lists; where the rules leave fewer items than ``top_k``, lists are shorter."""
    metrics = lists.metrics
    return Candidate(
        night=job.night.date,
        run_id=job.options.run_id,
        model=metrics["model"],
        model_refs=metrics["refs"],
        top_k=min(metrics["top_k"], metrics["items_allowed"]),
        lists_ref=lists.ref,
        fallback_share=metrics["fallback_share"],
    )


def shards(file: Path, rows: int = SHARD_ROWS) -> Iterator[pl.DataFrame]:
    """The lists, some shoppers a frame: rows of one shopper stand together in the file and stay together."""
    waiting: list[pl.DataFrame] = []
    for batch in pl.scan_parquet(file).collect_batches(chunk_size=rows, maintain_order=True):
        frame = pl.concat([*waiting, batch])
        cut = frame["user_id"] == frame["user_id"].last()
        yield from _unless_empty(frame.filter(~cut))
        waiting = [frame.filter(cut)]
    yield from waiting


def _unless_empty(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
    if not frame.is_empty():
        yield frame
