"""
One night, one state of the shop: what ``build_pairs`` finds is what every later step of the night goes on with.

A day that is corrected meanwhile, or an earlier night that is made again, changes nothing for a night that has begun;
to take it in, the night is run again from ``build_pairs``. Steps are processes of their own, so the pin lies in the
record of ``build_pairs``; each later step's record repeats the one it ran under.
"""

from dataclasses import replace

from recsys_tasks.errors import MissingArtefact
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.pin import PINNED, Pin
from recsys_tasks.steps.records import record_of
from recsys_tasks.workspace import Facts


def pinned(job: Job, name: str) -> Job:
    """
    The job, seeing the shop as the night's pairs found it; ``build_pairs`` finds it anew.

    Raises MissingArtefact where pairs or a step in between were made under another pin, or where the champion was
    rolled back since.
    """
    if name not in PINNED:
        return job
    if name == PINNED[0]:
        return replace(job, pin=_found(job))
    told = record_of(job, PINNED[0])
    if told is None or "pin" not in told:
        # Nothing to go on with, which the step itself says; or pairs of an earlier release.
        return job
    pin = Pin.of(told["pin"])
    _require_whole(job, told)
    _require_one_pin(job, name, pin, told)
    _require_standing(job, pin)
    return replace(job, pin=pin)


def _found(job: Job) -> Pin:
    job.lake.create()
    versions = job.lake.versions()
    at = replace(job, pin=Pin(versions, {}, job.accepted))
    return Pin(versions, at.lake.state(job.night), at.accepted)


def _require_whole(job: Job, told: Facts) -> None:
    """A run that was killed between the pairs and their record has left others than the record tells of."""
    pairs = job.workspace.find("pairs", job.night)
    if pairs is not None and pairs.ref != told.get("artefact"):
        raise MissingArtefact(
            f"night {job.night}: {PINNED[0]} was cut off: run the night again from {PINNED[0]}"
        )


def _require_one_pin(job: Job, name: str, pin: Pin, pairs: Facts) -> None:
    for earlier in PINNED[1 : PINNED.index(name)]:
        told = record_of(job, earlier)
        if told is not None and not ("pin" in told and pin.tells_the_same(Pin.of(told["pin"]))):
            raise MissingArtefact(
                f"night {job.night}: the lake or the champion has changed between {earlier} and the latest run of "
                f"{PINNED[0]} (run {pairs.get('run_id', 'unknown')}): let that run go on, or run the night again from "
                f"{earlier}"
            )


def _require_standing(job: Job, pin: Pin) -> None:
    """A rollback reaches a night that has begun: it does not go on from what was taken back."""
    decision = None if pin.champion is None else job.store.decision(pin.champion.night)
    if decision is not None and (decision.revoked_at is not None or decision.awaits_live):
        raise MissingArtefact(
            f"night {job.night} began with the model of night {decision.night} as its champion, which was rolled back "
            f"since: run the night again from {PINNED[0]}"
        )
