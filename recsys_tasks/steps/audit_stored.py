"""The audit of time over what is stored for a night: was anything of it made from the future?"""

import logging
from typing import Any

from recsys_tasks.errors import MissingArtefact
from recsys_tasks.lake.past import PastLake
from recsys_tasks.lake.tables import Lake
from recsys_tasks.pairs import audit as reading
from recsys_tasks.pairs.audit import Finding
from recsys_tasks.steps import stored_rules
from recsys_tasks.steps.audit_time import evidence_of, made_from, refs_in
from recsys_tasks.steps.job import Job, open_job
from recsys_tasks.steps.stored_rules import Stored
from recsys_tasks.workspace import MADE_BY, Artefact, Facts

log = logging.getLogger(__name__)


def audit_night(night: str) -> Facts:
    """
    Every rule with what it found: ``{"night", "clean", "lake", "rules": {rule: [{"what", "count", "example"}]}}``.

    The log is read at the version that the night's lists record, as long as it is kept (``lake`` says ``recorded``),
    else as it is ``now``: a corrected day may then look like a leak. Raises MissingArtefact for a night without pairs.
    """
    return audit_job(open_job(night))


def audit_job(job: Job) -> Facts:
    """``audit_night`` of a job that is open."""
    made = artefacts_of(job)
    lake, which = _lake(job, made)
    found = {
        **reading.audit(evidence_of(job, lake)),
        **stored_rules.audit(_stored(job, lake, made)),
    }
    return {
        "night": str(job.night),
        "clean": not any(found.values()),
        "lake": which,
        "artefacts": {name: artefact.ref for name, artefact in made.items()},
        "rules": {rule: [_facts(finding) for finding in findings] for rule, findings in found.items()},
    }


def artefacts_of(job: Job) -> dict[str, Artefact]:
    """
    By name: the night's own artefacts, else those of earlier nights that its lists were made with.

    Where the champion made the lists, its parts are looked at on their own nights; tonight's are what the night made.
    """
    found = {name: it for name in MADE_BY if (it := job.workspace.find(name, job.night)) is not None}
    for top in [found[name] for name in ("evaluation", "lists") if name in found]:
        for ref in refs_in(top.manifest["inputs"].get("challenger", top.manifest["inputs"])):
            name = ref.split("/")[0]
            if name not in found:
                found |= _kept(job, ref)
    return found


def _kept(job: Job, ref: str) -> dict[str, Artefact]:
    try:
        artefact = job.workspace.at(ref)
    except MissingArtefact as gone:
        log.warning("not looked at: %s", gone)
        return {}
    return {artefact.name: artefact}


def _lake(job: Job, made: dict[str, Artefact]) -> tuple[Lake, str]:
    recorded: dict[str, Any] = made["lists"].manifest.get("recorded", {}) if "lists" in made else {}
    if {"events", "items"} <= recorded.keys():
        past = PastLake(job.lake.folder, at={name: recorded[name] for name in ("events", "items")})
        try:
            past.snapshot(job.night.as_of)
        except MissingArtefact as gone:
            log.warning("the lake is read as it is now: %s", gone)
        else:
            return past, "recorded"
    return job.lake, "now"


def _stored(job: Job, lake: Lake, made: dict[str, Artefact]) -> Stored:
    night = job.night
    return Stored(
        night=night,
        snapshot=lake.snapshot(night.as_of),
        before=lake.snapshot(night.train_until),
        window=lake.events_between(night.train_until, night.as_of),
        target_events=tuple(job.settings.target_events),
        made=made,
        sources=made_from(job, [artefact.ref for artefact in made.values()]),
    )


def _facts(finding: Finding) -> Facts:
    return {"what": finding.rule, "count": finding.count, "example": finding.example}
