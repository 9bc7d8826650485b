"""The night's events, with the days before it that may have got late rows, into the lake."""

from datetime import timedelta

from recsys_tasks.steps.ingest import load_events
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.ranges import require_in_log
from recsys_tasks.workspace import Facts


def run(job: Job) -> Facts:
    """
    Replace the night's day and the ``lookback_days`` before it.

    Raises NightOutOfRange behind ``last_night``, EmptyPartition where the night's own day is empty and TooManyBadRows
    above ``max_rejected``; the lake is untouched then.
    """
    day = job.night.date
    require_in_log(job.settings, day)
    # Nothing is looked for before the shop's first night, unless that is what was asked for.
    first = min(day, max(day - timedelta(days=job.settings.lookback_days), job.settings.first_night))
    facts = load_events(job.settings, first, day, needed=day)
    record = job.lake.day_record(day)
    return {**facts, "first": first.isoformat(), "fingerprint": record.fingerprint if record else None}
