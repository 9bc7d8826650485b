"""The night on one page: what went in, what was learned, what was decided, what came out."""

import logging

from recsys_tasks.errors import MissingArtefact
from recsys_tasks.steps import NIGHT_STEPS
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.records import record_of
from recsys_tasks.steps.report_page import page_text
from recsys_tasks.workspace import Facts

log = logging.getLogger(__name__)


def run(job: Job) -> Facts:
    """
    Write the night's page into the task log; the figures stay in the records of the steps.

    Raises MissingArtefact for a night of which no step has run.
    """
    facts = gather(job)
    if not facts["steps"].keys() - {"report"}:
        raise MissingArtefact(f"night {job.night} has not been run: there is nothing to report")
    for line in page_text(facts).splitlines():
        log.info("%s", line)
    decision = (facts["steps"].get("gate") or {}).get("accepted")
    return {"accepted": decision, "steps": sorted(facts["steps"])}


def gather(job: Job) -> Facts:
    """What every step of this night reported when it last ran, by step; steps that never ran are left out."""
    records = {name: record_of(job, name) for name in (*NIGHT_STEPS, "measure")}
    return {
        "night": str(job.night),
        "shop": job.settings.name,
        "zone": job.settings.time_zone,
        "steps": {name: facts for name, facts in records.items() if facts is not None},
    }
