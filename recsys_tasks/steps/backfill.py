"""Past nights in their order: each starts from what the nights before it left, and is measured on the days after it."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime

from recsys_tasks.calendar import days_between
from recsys_tasks.errors import EmptyPartition, PublishRefused
from recsys_tasks.settings import load_settings
from recsys_tasks.steps import NIGHT_STEPS
from recsys_tasks.steps.job import Options, open_job
from recsys_tasks.steps.measure import missing_days
from recsys_tasks.steps.ranges import past_days
from recsys_tasks.steps.runner import night_alone, run_step

log = logging.getLogger(__name__)


def nights_between(first: str, last: str) -> list[str]:
    """The nights of a range (ISO dates, both included); raises NightOutOfRange as ``past_days``."""
    days = past_days(load_settings(), first, last, datetime.now(UTC))
    return [day.isoformat() for day in days_between(*days)]


def backfill_night(night: str, options: Options) -> Iterator[str]:
    """Run every step of a night, yielding each one's name before it runs; a day without events is left out."""
    with night_alone(night):
        for step in NIGHT_STEPS:
            yield step
            try:
                run_step(step, night, options, alone=True)
            except EmptyPartition as empty:
                if step != NIGHT_STEPS[0]:
                    raise
                log.warning("night %s is left out: %s", night, empty)
                return
            except PublishRefused as refused:
                # Nobody was to read them; the next nights are worth having.
                log.warning("%s", refused)


def measure_what_can_be(nights: list[str]) -> list[str]:
    """Measure the nights that have lists and whose following days are loaded; returns the others."""
    waiting = []
    for night in nights:
        job = open_job(night)
        if job.workspace.find("lists", job.night) is None or missing_days(job):
            waiting.append(night)
        else:
            run_step("measure", night)
    return waiting
