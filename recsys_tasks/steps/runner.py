"""Run one step of a night the same way from Airflow and from the command line."""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module

from recsys_tasks.errors import MissingArtefact
from recsys_tasks.files import enough_space, locked
from recsys_tasks.steps.cost import Cost
from recsys_tasks.steps.job import Job, Options, open_job
from recsys_tasks.steps.one_state import pinned
from recsys_tasks.steps.records import keep_record, made_seconds, record_of
from recsys_tasks.workspace import Facts

log = logging.getLogger(__name__)


# Steps that only look, and may do so while a night is being made.
LOOKING = ("report", "measure")


@contextmanager
def night_alone(night: str, *, wait_seconds: float = 0.0) -> Iterator[None]:
    """
    Keep a night to oneself from its first step to its last: whoever else works on it waits or is told.

    Raises Busy while another process works on any step of the night, and still does after ``wait_seconds``.
    """
    job = open_job(night)
    with enough_space(job.workspace.home), _turn(job, None, wait_seconds):
        yield


def run_step(
    name: str,
    night: str,
    options: Options | None = None,
    *,
    wait_seconds: float = 0.0,
    alone: bool = False,
) -> Facts:
    """
    Run ``steps/<name>.py`` for a night and keep what it reports in ``records/<night>/<name>.json``.

    While any step of the same night runs elsewhere, waits up to ``wait_seconds``, then raises Busy; ``alone`` says that
    the caller keeps the night (``night_alone``). What the other one finished meanwhile is found and used, as in any
    second run. Raises MissingArtefact where a step that only looks is asked for a night that never ran.
    """
    job = open_job(night, options)
    if job.options.skips(name):
        return _earlier(job, name)
    if name in LOOKING:
        _require_begun(job, name)
    # The lock is a file too: a disk that is full already is told as one that fills up.
    with enough_space(job.workspace.home), nullcontext() if alone else _turn(job, name, wait_seconds):
        log.info("night %s: %s", night, name)
        job = pinned(job, name)
        with Cost() as cost:
            facts: Facts = import_module(f"recsys_tasks.steps.{name}").run(job)
        facts |= {
            "step": name,
            "run_id": job.options.run_id,
            "seconds": cost.seconds,
            "peak_mb": cost.peak_mb,
        }
        facts["made_seconds"] = _made_seconds(facts, record_of(job, name))
        if job.pin is not None:
            facts["pin"] = job.pin.facts()
        keep_record(job, name, facts)
    log.info("night %s: %s done in %.1f s, peak %.0f MB", night, name, cost.seconds, cost.peak_mb)
    return facts


def _turn(job: Job, name: str | None, wait_seconds: float) -> AbstractContextManager[None]:
    """Steps of one night follow one another, whoever runs them: two runs would mix their choices."""
    looks = name in LOOKING
    what = f"{name} of night {job.night}" if looks else f"night {job.night}"
    lock = job.workspace.records(job.night) / f".{name if looks else 'night'}.lock"
    return locked(lock, what, patience=wait_seconds)


def _require_begun(job: Job, name: str) -> None:
    """To look leaves a record, and a night with records is one that status shows."""
    if not job.workspace.records(job.night).is_dir():
        raise MissingArtefact(
            f"night {job.night} was never made, so there is nothing to {name}: run it first"
        )


def _made_seconds(facts: Facts, before: Facts | None) -> float:
    """A run that found its artefact made says nothing about what that cost: the run before it did."""
    if facts.get("reused") and before is not None and before.get("artefact") == facts.get("artefact"):
        return made_seconds(before)
    return float(facts["seconds"])


def _earlier(job: Job, name: str) -> Facts:
    facts = record_of(job, name)
    if facts is None:
        raise MissingArtefact(
            f"from_step {job.options.from_step}: {name} has never run for night {job.night}; start from it instead"
        )
    log.info("night %s: %s is used as it is (from_step %s)", job.night, name, job.options.from_step)
    return facts
