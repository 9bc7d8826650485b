"""What a night goes on with from earlier nights: the champion's artefacts, so that a rollback reaches them too."""

import logging
from datetime import datetime

from recsys_tasks.errors import MissingArtefact
from recsys_tasks.steps.job import Job
from recsys_tasks.workspace import Artefact

log = logging.getLogger(__name__)


def train_until(artefact: Artefact) -> datetime | None:
    """Up to where a model's weights saw the log; none where its manifest does not tell."""
    told = artefact.manifest.get("recorded", {}).get("train_until")
    return None if told is None else datetime.fromisoformat(told)


def is_blind(job: Job, artefact: Artefact) -> bool:
    """
    Whether a model of an earlier night has seen nothing of tonight's window.

    Nights follow each other, so it has, unless ``gate.days`` was raised since: then its training ran into the days
    that tonight's gate keeps for itself. What does not tell counts as having seen them.
    """
    until = train_until(artefact)
    return until is not None and until <= job.night.train_until


def of_champion(job: Job, name: str) -> Artefact | None:
    """The champion's artefact of that name, if it is still there and has not seen tonight's window."""
    champion = job.accepted
    if champion is None or name not in champion.refs:
        return None
    try:
        return _if_blind(job, job.workspace.at(champion.refs[name]))
    except MissingArtefact as gone:
        log.warning("the champion has lost a part: %s", gone)
        return None


def standing(job: Job, name: str) -> Artefact | None:
    """
    The artefact of that name in the champion's model; the newest of an earlier night while no model was accepted.

    Never one of a model that the gate refused or that somebody rolled back, once there is a champion; never one
    that has seen tonight's window.
    """
    if job.accepted is not None:
        return of_champion(job, name)
    newest = job.workspace.newest_before(name, job.night)
    return None if newest is None else _if_blind(job, newest)


def goes_on(job: Job, name: str, every_nights: int) -> Artefact | None:
    """What a night uses that makes none of its own; None where it is its turn, or asked to start from scratch."""
    if job.options.start == "scratch" or job.night.is_every(every_nights):
        return None
    return standing(job, name)


def starting_points(job: Job) -> list[Artefact]:
    """Everything of earlier nights that tonight's training may start from or use again."""
    if job.options.start == "scratch":
        return []
    found = [of_champion(job, "towers"), *(standing(job, name) for name in ("encoder", "ranker"))]
    return [artefact for artefact in found if artefact is not None]


def _if_blind(job: Job, artefact: Artefact) -> Artefact | None:
    if is_blind(job, artefact):
        return artefact
    log.warning(
        "%s is not used again: it may have been fitted on days of tonight's window, which begins %s (gate.days)",
        artefact.ref,
        job.night.train_until.isoformat(),
    )
    return None
