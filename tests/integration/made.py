"""A night, and what it came to: all that two runs of one night must have in common."""

from dataclasses import dataclass
from typing import Any

import polars as pl

from recsys_tasks.steps import NIGHT_STEPS
from recsys_tasks.steps.job import Job, Options, open_job
from recsys_tasks.steps.runner import run_step

MADE = ("pairs", "encoder", "vectors", "towers", "ranker", "index", "evaluation", "lists")


@dataclass(frozen=True)
class Made:
    """What a night came to."""

    fingerprints: dict[str, str]
    inputs: dict[str, Any]
    tables: dict[str, pl.DataFrame]
    decision: dict[str, Any]
    warm: str | None


def make_night(night: str, options: Options) -> None:
    for step in NIGHT_STEPS:
        run_step(step, night, options)


def made(night: str) -> Made:
    job = open_job(night)
    found = {name: artefact for name in MADE if (artefact := job.workspace.find(name, night)) is not None}
    return Made(
        fingerprints={name: artefact.fingerprint for name, artefact in found.items()},
        inputs={name: artefact.manifest["inputs"] for name, artefact in found.items()},
        tables={
            file: pl.read_parquet(found[name].path / f"{file}.parquet")
            for name, files in {
                "pairs": ("pairs", "negatives", "examples"),
                "lists": ("lists",),
                "evaluation": ("scores",),
            }.items()
            for file in files
        },
        decision=decision_of(job),
        warm=found["towers"].manifest["inputs"]["warm"],
    )


def decision_of(job: Job) -> dict[str, Any]:
    decision = job.store.decision(job.night)
    assert decision is not None
    return {name: getattr(decision, name) for name in ("accepted", "refs", "champion", "metrics", "why")}
