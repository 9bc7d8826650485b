"""Tonight's lists into the serving database; readers see them once they pass the audit."""

import logging
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import polars as pl

from recsys_tasks.settings import RuleSettings
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.records import record_of
from recsys_tasks.store.load import Candidate
from recsys_tasks.workspace import Artefact, Facts

log = logging.getLogger(__name__)

SHARD_ROWS = 200_000


def run(job: Job) -> Facts:
    """
    Publish the lists that this run made; ``live`` in the facts says whether readers see them afterwards.

    By hand these are the latest of the night, whichever run made them. Raises PublishRefused where the audit fails;
    what was live stays live.
    """
    lists = lists_of_the_run(job)
    catalogue = job.lake.catalogue(job.night.as_of)
    published = job.store.publish(
        candidate_of(job, lists),
        shards(lists.path / "lists.parquet"),
        job.settings.store,
        known_items=catalogue["item_id"],
        offered_items=offered(catalogue, job.night.as_of, job.settings.rules),
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


def lists_of_the_run(job: Job) -> Artefact:
    """Those that were handed on, though another run of the night may have made others since; else the latest."""
    latest, told = job.workspace.need("lists", job.night), record_of(job, "recommend") or {}
    other, own = told.get("run_id", job.options.run_id), job.options.run_id
    if job.options.lists not in (None, latest.ref):
        log.warning(
            "%s was made since by run %s; run %s publishes its own %s",
            latest.ref,
            other,
            own,
            job.options.lists,
        )
        return job.workspace.at(str(job.options.lists))
    if job.options.lists is None and other != own:
        log.warning("run %s publishes %s, which run %s made", own, latest.ref, other)
    return latest


def made_since(job: Job, lists: Artefact) -> str | None:
    """The night's latest lists, where another run made them after these."""
    latest = job.workspace.need("lists", job.night).ref
    return None if latest == lists.ref else latest


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
        made_since=made_since(job, lists),
    )


def offered(catalogue: pl.DataFrame, as_of: datetime, rules: RuleSettings) -> pl.Series:
    """
    The ids of the items that may be shown when the night has ended: available then, and not blocked.

    Read from shop.yaml and the catalogue once more, not from what recommend believed: a rule may be newer than lists.
    """
    at = pl.lit(as_of)
    return catalogue.filter(
        (pl.col("available_from") <= at).fill_null(True),
        (pl.col("available_until") > at).fill_null(True),
        ~pl.col("item_id").is_in(rules.blocked_items),
        ~pl.col("category").is_in(rules.blocked_categories).fill_null(False),
    )["item_id"]


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
