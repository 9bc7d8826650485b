"""What each step of a night reported when it last ran: ``records/<night>/<step>.json``."""

import json

from recsys_tasks.files import write_whole
from recsys_tasks.steps.job import Job
from recsys_tasks.workspace import Facts


def record_of(job: Job, name: str) -> Facts | None:
    """What a step of this night reported when it last ran."""
    try:
        text = (job.workspace.records(job.night) / f"{name}.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    facts: Facts = json.loads(text)
    return facts


def keep_record(job: Job, name: str, facts: Facts) -> None:
    """In place of what the step reported before."""
    text = json.dumps(facts, indent=2, default=str)
    write_whole(job.workspace.records(job.night) / f"{name}.json", text)


def made_seconds(record: Facts) -> float:
    """What a step's work cost when it was done, from its record."""
    return float(record.get("made_seconds") or record["seconds"])
