"""The audit before training: nothing tonight learns from may come from the future. Fatal."""

import logging
from typing import Any

import polars as pl

from recsys_tasks.errors import LeakFound, MissingArtefact
from recsys_tasks.pairs.audit import REF, Evidence, audit
from recsys_tasks.steps.job import Job
from recsys_tasks.workspace import Facts

log = logging.getLogger(__name__)

# What a night may take over from an earlier one.
STARTING_POINTS = ("encoder", "towers", "ranker")


def run(job: Job) -> Facts:
    """Apply every rule to the night's snapshot and artefact ``pairs``; raises LeakFound with all that was found."""
    evidence = _evidence(job)
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


def _evidence(job: Job) -> Evidence:
    pairs = job.workspace.need("pairs", job.night)
    return Evidence(
        night=job.night,
        snapshot=job.lake.snapshot(job.night.as_of),
        pairs=pl.read_parquet(pairs.path / "pairs.parquet"),
        negatives=pl.read_parquet(pairs.path / "negatives.parquet"),
        examples=pl.read_parquet(pairs.path / "examples.parquet"),
        models=_starting_points(job),
    )


def _starting_points(job: Job) -> dict[str, list[str]]:
    """
    Every earlier artefact tonight may start from, and what it was made from, all the way back.

    Ancestors that were tidied away cannot be followed; their names still tell their nights.
    """
    newest = (job.workspace.newest_before(name, job.night) for name in STARTING_POINTS)
    champion = job.store.champion_before(job.night)
    open_refs = [artefact.ref for artefact in newest if artefact is not None]
    open_refs += [] if champion is None else _refs_in(champion.refs)
    made_from: dict[str, list[str]] = {}
    while open_refs:
        ref = open_refs.pop()
        if ref not in made_from:
            made_from[ref] = _sources(job, ref)
            open_refs += made_from[ref]
    return made_from


def _sources(job: Job, ref: str) -> list[str]:
    try:
        return sorted(_refs_in(job.workspace.at(ref).manifest["inputs"]))
    except MissingArtefact:
        return []


def _refs_in(facts: Any) -> list[str]:
    """The artefact names anywhere in a tree of JSON."""
    if isinstance(facts, dict):
        return [ref for value in facts.values() for ref in _refs_in(value)]
    if isinstance(facts, list):
        return [ref for value in facts for ref in _refs_in(value)]
    return [facts] if isinstance(facts, str) and REF.match(facts) else []
