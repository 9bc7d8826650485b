"""The product's night as of a cut: its own steps, from the pairs to the index, and what they cost."""

import json
import logging
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.isolated import measured
from recsys_tasks.files import write_whole
from recsys_tasks.steps import NIGHT_STEPS
from recsys_tasks.steps.cost import Cost
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.refit import refitted

log = logging.getLogger(__name__)

Step = Callable[[Job], dict[str, Any]]

REFIT = "refit_towers"
MODEL_STEPS = NIGHT_STEPS[NIGHT_STEPS.index("build_pairs") : NIGHT_STEPS.index("build_index") + 1]
# What a model's refs call the artefact of each step.
PARTS = {
    "finetune_encoder": "encoder",
    "encode_items": "vectors",
    "train_towers": "towers",
    "train_ranker": "ranker",
    "build_index": "index",
    REFIT: "refit",
}


@dataclass(frozen=True)
class FittedNight:
    """``refs`` name the model's artefacts, its refit among them; ``costs`` maps a step to its seconds and peak_mb."""

    refs: dict[str, str]
    costs: dict[str, dict[str, float]]
    facts: dict[str, dict[str, Any]]

    def seconds(self, without: tuple[str, ...] = ()) -> float:
        return sum(cost["seconds"] for step, cost in self.costs.items() if step not in without)

    def peak_mb(self, without: tuple[str, ...] = ()) -> float:
        return max(cost["peak_mb"] for step, cost in self.costs.items() if step not in without)


def fit_night(job: Job, left_out: Set[str] = frozenset()) -> FittedNight:
    """
    Run the steps in a process of their own; what was made before is reused, and its cost remembered.

    The refs name nothing of the steps ``left_out``.
    """
    return measured(run_steps, job, left_out).result


def run_steps(job: Job, left_out: Set[str] = frozenset()) -> FittedNight:
    costs: dict[str, dict[str, float]] = {}
    facts: dict[str, dict[str, Any]] = {}
    made_by, is_old = "", True
    for step, made in steps_of(job):
        if step in left_out:
            continue
        with Cost() as cost:
            told = made(job)
        # A step that makes nothing (the audit) looked at what stands before it.
        made_by, is_old = told.get("artefact", made_by), told.get("reused", is_old)
        spent = {"seconds": cost.seconds, "peak_mb": cost.peak_mb}
        costs[step] = remembered(job, f"{step}-{made_by}", is_old, spent)
        facts[step] = told
        log.info("%s of night %s: %.0f s", step, job.night, costs[step]["seconds"])
    refs = {
        PARTS[step]: told["artefact"] for step, told in facts.items() if step in PARTS and "artefact" in told
    }
    return FittedNight(refs, costs, facts)


def steps_of(job: Job) -> Iterator[tuple[str, Step]]:
    """The night up to its model, and the refit where the settings ask for one: no gate stands between them here."""
    for step in MODEL_STEPS:
        yield step, import_module(f"recsys_tasks.steps.{step}").run
    if job.settings.towers.refit_epochs:
        yield REFIT, refit


def refit(job: Job) -> dict[str, Any]:
    """The step behind the gate, as if the gate had accepted; none of towers that could not be fitted."""
    towers = job.workspace.need("towers", job.night)
    return refitted(job, towers) if towers.metrics["fitted"] else {}


def remembered(job: Job, what: str, is_old: bool, cost: dict[str, float]) -> dict[str, float]:
    """What a step cost when it was first done; where nothing is known of that, what it cost now."""
    file: Path = job.workspace.home / "costs" / f"{what.replace('/', '_')}.json"
    if is_old and file.exists():
        known: dict[str, float] = json.loads(file.read_text(encoding="utf-8"))
        return known
    write_whole(file, json.dumps(cost))
    return cost
