"""Positive pairs, negatives and tower examples of a night, from the events before its window."""

import logging

import polars as pl

from recsys_tasks.errors import EmptyPartition
from recsys_tasks.pairs.coding import code_log
from recsys_tasks.pairs.examples import named_examples
from recsys_tasks.pairs.negatives import named_negatives
from recsys_tasks.pairs.positives import named_pairs
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.rooms import COMMON
from recsys_tasks.workspace import Draft, Facts

log = logging.getLogger(__name__)


def run(job: Job) -> Facts:
    """
    Make the artefact ``pairs``: pairs.parquet, negatives.parquet, examples.parquet.

    Raises EmptyPartition where no event precedes the window.
    """
    # What happens inside the window changes no pair, so the log's state behind the last day before it is the input.
    before_window = job.night.shift(-job.night.gate_days)
    with job.workspace.artefact(
        "pairs",
        job.night,
        inputs={"events": job.lake.state(before_window)["events"]},
        settings={
            **job.settings.pairs.model_dump(mode="json"),
            "event_weights": job.settings.event_weights,
            "target_events": job.settings.target_events,
            "gate_days": job.night.gate_days,
            "time_zone": job.settings.time_zone,
        },
        rooms=("pairs", *COMMON, "steps/build_pairs"),
        seed=job.settings.seed,
        recorded={**job.lake.read_by(before_window), "train_until": job.night.train_until.isoformat()},
    ) as draft:
        if draft.is_new:
            _build(job, job.lake.snapshot(job.night.train_until).events, draft)
        facts = draft.metrics if draft.is_new else draft.artefact.metrics
    log.info("%(pairs)d pairs, %(negatives)d negatives, %(examples)d examples", facts)
    return {"artefact": draft.artefact.ref, "reused": not draft.is_new, **facts}


def _build(job: Job, events: pl.DataFrame, draft: Draft) -> None:
    if events.is_empty():
        raise EmptyPartition(
            f"night {job.night}: the log holds no event before {job.night.train_until:%Y-%m-%d %H:%M} UTC, the start "
            f"of its window of {job.night.gate_days} days; choose a later night, or extract earlier days"
        )
    settings, until = job.settings, job.night.train_until
    coded = code_log(events, settings.event_weights, until)
    pairs = named_pairs(coded, settings.pairs, until)
    negatives = named_negatives(pairs, coded, settings.pairs, settings.seed, until)
    examples = named_examples(
        coded, settings.pairs, until, target_events=settings.target_events, zone=settings.zone
    )
    for name, frame in (("pairs", pairs), ("negatives", negatives), ("examples", examples)):
        frame.write_parquet(draft.path / f"{name}.parquet")
    draft.metrics.update(
        pairs=len(pairs),
        negatives=len(negatives),
        examples=len(examples),
        users=pairs["user_id"].n_unique(),
        items=pl.concat([pairs["anchor_id"], pairs["positive_id"]]).n_unique(),
    )
