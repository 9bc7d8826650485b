"""A search for settings, on days that no later judge of the night asks about; it can be stopped and carried on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna

from recsys_tasks.errors import SettingsError
from recsys_tasks.files import enough_space, locked
from recsys_tasks.search.arena import Arena
from recsys_tasks.search.encoder_spaces import AugmentSpace, TrainingSpace
from recsys_tasks.search.found import write_found
from recsys_tasks.search.study import carry_on, open_study
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.search_encoder import encoder_arena
from recsys_tasks.steps.search_towers import towers_arena
from recsys_tasks.workspace import Facts, code_version, fingerprint_of

STUDY = "study.db"
# What a figure of an earlier trial depends on, whatever is searched: changed code begins a new study.
ROOMS = ("search/policies", "search/space", "search/study", "steps/search")


def run(job: Job, what: str, trials: int) -> Facts:
    """
    Carry the night's search on until ``trials`` have been judged, and write what it found into ``search/WHAT/NIGHT``.

    ``what``: ``augment``, ``training`` or ``histories``. Raises MissingArtefact where the night lacks pairs (of
    ``histories``: vectors), EmptyPartition where the log is too short to hold days back, LeakFound where the night's
    vectors know those days.
    """
    if what not in SEARCHES:
        raise SettingsError(
            f"search: {what!r} cannot be searched; choose one of {', '.join(sorted(SEARCHES))}"
        )
    folder = job.workspace.home / "search" / what / str(job.night)
    with enough_space(job.workspace.home), locked(folder / ".lock", f"the search of night {job.night}"):
        arena = SEARCHES[what](job, folder / "trial")
        study = open_study(folder / STUDY, f"{what}-{_fingerprint(job, arena)}")
        tried = carry_on(
            study,
            trials,
            seed=job.settings.seed,
            start=arena.space.start(),
            score=lambda trial: arena.score(arena.space.choice(trial)),
        )
        found = write_found(folder, study, arena.space)
    days = {"trained before": arena.days.cut.isoformat(), "judged until": arena.days.until.isoformat()}
    return {"what": what, "tried now": tried, **days, **found}


SEARCHES: dict[str, Callable[[Job, Path], Arena[Any]]] = {
    "augment": lambda job, scratch: encoder_arena(job, AugmentSpace, scratch),
    "training": lambda job, scratch: encoder_arena(job, TrainingSpace, scratch),
    "histories": lambda job, _: towers_arena(job),
}


def _fingerprint(job: Job, arena: Arena[Any]) -> str:
    """Of all that decides a trial's value beside its suggestions."""
    settings = job.settings
    return fingerprint_of(
        {
            "night": job.night.as_of.isoformat(),
            # Settings of the ranker and the gates move them, and so does code.
            "days": [day.isoformat() for day in arena.days],
            "event_weights": settings.event_weights,
            "target_events": settings.target_events,
            "seed": settings.seed,
            "code": {room: code_version(room) for room in sorted({*ROOMS, *arena.rooms})},
            "optuna": optuna.__version__,
            **arena.depends_on(),
        }
    )
