"""What a night goes on with from earlier nights: the champion's artefacts, so that a rollback reaches them too."""

import logging

from recsys_tasks.errors import MissingArtefact
from recsys_tasks.steps.job import Job
from recsys_tasks.workspace import Artefact

log = logging.getLogger(__name__)


def standing(job: Job, name: str) -> Artefact | None:
    """
    The artefact of that name in the champion's model; the newest of an earlier night while no model was accepted.

    Never one of a model that the gate refused or that somebody rolled back, once there is a champion.
    """
    champion = job.store.champion_before(job.night)
    if champion is None or name not in champion.refs:
        return job.workspace.newest_before(name, job.night)
    try:
        return job.workspace.at(champion.refs[name])
    except MissingArtefact as gone:
        log.warning("the champion has lost a part: %s", gone)
        return None


def goes_on(job: Job, name: str, every_nights: int) -> Artefact | None:
    """What a night uses that makes none of its own; None where it is its turn, or asked to start from scratch."""
    if job.options.start == "scratch" or job.night.is_every(every_nights):
        return None
    return standing(job, name)
