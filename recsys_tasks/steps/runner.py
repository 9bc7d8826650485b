"""Run one step of a night the same way from Airflow and from the command line."""

import json
import logging
from importlib import import_module

from recsys_tasks.errors import MissingArtefact
from recsys_tasks.steps.cost import Cost
from recsys_tasks.steps.job import Job, Options, open_job
from recsys_tasks.workspace import Facts, locked, write_whole

log = logging.getLogger(__name__)


def run_step(name: str, night: str, options: Options | None = None, *, wait_seconds: float = 0.0) -> Facts:
    """
    Run ``steps/<name>.py`` for a night and keep what it reports in ``records/<night>/<name>.json``.

    While the same step of the same night runs elsewhere, waits up to ``wait_seconds``, then raises Busy. What the
    other one finished meanwhile is found and used, as in any second run.
    """
    job = open_job(night, options)
    records = job.workspace.records(job.night)
    if job.options.skips(name):
        return _earlier(job, name)
    with locked(records / f".{name}.lock", f"{name} of night {night}", patience=wait_seconds):
        log.info("night %s: %s", night, name)
        with Cost() as cost:
            facts: Facts = import_module(f"recsys_tasks.steps.{name}").run(job)
        facts = {**facts, "step": name, "seconds": cost.seconds, "peak_mb": cost.peak_mb}
        write_whole(records / f"{name}.json", json.dumps(facts, indent=2, default=str))
    log.info("night %s: %s done in %.1f s, peak %.0f MB", night, name, cost.seconds, cost.peak_mb)
    return facts


def record_of(job: Job, name: str) -> Facts | None:
    """What a step of this night reported when it last ran."""
    try:
        text = (job.workspace.records(job.night) / f"{name}.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    facts: Facts = json.loads(text)
    return facts


def _earlier(job: Job, name: str) -> Facts:
    facts = record_of(job, name)
    if facts is None:
        raise MissingArtefact(
            f"from_step {job.options.from_step}: {name} has never run for night {job.night}; start from it instead"
        )
    log.info("night %s: %s is used as it is (from_step %s)", job.night, name, job.options.from_step)
    return facts
