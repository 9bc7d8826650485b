"""The audit before training: nothing tonight learns from may come from the future. Fatal."""

import logging
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import polars as pl

from recsys_tasks.errors import LeakFound, MissingArtefact
from recsys_tasks.lake.tables import Lake
from recsys_tasks.pairs.audit import REF, Evidence, audit
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.lineage import starting_points, train_until
from recsys_tasks.steps.ranker_cuts import plans
from recsys_tasks.workspace import Artefact, Facts

log = logging.getLogger(__name__)


def run(job: Job) -> Facts:
    """Apply every rule to the night's snapshot and artefact ``pairs``; raises LeakFound with all that was found."""
    evidence = evidence_of(job)
    found = audit(evidence)
    findings = [finding for rule in found.values() for finding in rule]
    if findings:
        raise LeakFound("\n".join([f"night {job.night} would learn from the future:", *map(str, findings)]))
    log.info("no leak: %s", ", ".join(found))
    return {
        "rules": {name: sum(finding.count for finding in rule) for name, rule in found.items()},
        "events": len(evidence.snapshot.events),
        "models": sorted(evidence.models),
    }


def evidence_of(job: Job, lake: Lake | None = None) -> Evidence:
    """What tonight's training would see: the night's snapshot, its pairs, and the models it would start from."""
    pairs = job.workspace.need("pairs", job.night)
    starts = [artefact.ref for artefact in starting_points(job)]
    return Evidence(
        night=job.night,
        snapshot=(lake or job.lake).snapshot(job.night.as_of),
        pairs=pl.read_parquet(pairs.path / "pairs.parquet"),
        negatives=pl.read_parquet(pairs.path / "negatives.parquet"),
        examples=pl.read_parquet(pairs.path / "examples.parquet"),
        models=made_from(job, [*starts, *_champion_refs(job)]),
        fitted_until=_fitted_until(job, made_from(job, starts)),
        ranker_cuts=[cut for plan in plans(job.night, job.settings.ranker) for cut in plan],
    )


def _champion_refs(job: Job) -> list[str]:
    return [] if job.accepted is None else refs_in(job.accepted.refs)


def _fitted_until(job: Job, refs: Iterable[str]) -> dict[str, datetime]:
    """Up to where each of these saw the log; those that are gone, or are no models, do not tell."""
    found = ((ref, _artefact(job, ref)) for ref in sorted(refs))
    told = ((ref, train_until(artefact)) for ref, artefact in found if artefact is not None)
    return {ref: until for ref, until in told if until is not None}


def made_from(job: Job, refs: Iterable[str]) -> dict[str, list[str]]:
    """
    These artefacts and everything they were made from, all the way back: each with its own sources.

    Ancestors that were tidied away cannot be followed; their names still tell their nights.
    """
    open_refs = list(refs)
    sources: dict[str, list[str]] = {}
    while open_refs:
        ref = open_refs.pop()
        if ref not in sources:
            sources[ref] = _sources(job, ref)
            open_refs += sources[ref]
    return sources


def _sources(job: Job, ref: str) -> list[str]:
    artefact = _artefact(job, ref)
    return [] if artefact is None else sorted(refs_in(artefact.manifest.get("inputs", {})))


def _artefact(job: Job, ref: str) -> Artefact | None:
    try:
        return job.workspace.at(ref)
    except MissingArtefact:
        return None


def refs_in(facts: Any) -> list[str]:
    """The artefact names anywhere in a tree of JSON."""
    if isinstance(facts, dict):
        return [ref for value in facts.values() for ref in refs_in(value)]
    if isinstance(facts, list):
        return [ref for value in facts for ref in refs_in(value)]
    return [facts] if isinstance(facts, str) and REF.match(facts) else []
