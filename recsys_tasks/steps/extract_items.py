"""The catalogue as the night finds it, into the lake's history of items."""

from recsys_tasks.steps.ingest import fetch_items, keep_items
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.ranges import require_in_log
from recsys_tasks.workspace import Facts


def run(job: Job) -> Facts:
    """
    Add what is new, changed or gone; nothing where a newer night's catalogue is recorded.

    Raises NightOutOfRange behind ``last_night``, EmptyPartition for an empty catalogue and TooManyBadRows above
    ``max_rejected``; the lake is untouched then.
    """
    require_in_log(job.settings, job.night.date)
    found = fetch_items(job.settings, job.night.date)
    return keep_items(job.settings, job.night.date, found)
