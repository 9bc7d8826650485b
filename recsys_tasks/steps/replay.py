"""
A night made again from what the lake held when it was made, whatever was corrected since.

Nothing of the shop changes: the result lies in a folder of its own under ``replays``, live lists, decisions, records
and the night's artefacts stay as they are. Models of earlier nights are used where they lie.
"""

import logging
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl

from recsys_tasks.errors import MissingArtefact
from recsys_tasks.files import locked, write_whole
from recsys_tasks.settings import load_settings
from recsys_tasks.steps.audit_time import made_from
from recsys_tasks.steps.champion import is_popular
from recsys_tasks.steps.job import Job, Options, Start
from recsys_tasks.steps.pin import PINNED, Accepted, Pin
from recsys_tasks.store.store import AnyNight, Store
from recsys_tasks.store.tables import Decision
from recsys_tasks.workspace import Artefact, Facts, Workspace

log = logging.getLogger(__name__)


class ReplayStore(Store):
    """The decision of a replay's own gate, in memory; the champion of that time is in its pin."""

    def __init__(self) -> None:
        self._own: Decision | None = None

    def decision(self, night: AnyNight) -> Decision | None:
        return self._own

    def keep_decision(self, decision: Decision) -> None:
        self._own = decision

    def record_metrics(self, night: AnyNight, kind: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """The figures stay in the replay's artefacts."""


@dataclass(frozen=True)
class ReplayJob(Job):
    """A night as it was pinned then, its results in ``folder``, its gate's decision in memory."""

    folder: Path = Path()
    decisions: ReplayStore = field(default_factory=ReplayStore)

    @cached_property
    def workspace(self) -> Workspace:
        return Workspace(self.folder)

    @cached_property
    def store(self) -> Store:
        return self.decisions

    def starting(self, start: Start) -> "ReplayJob":
        return replace(self, options=replace(self.options, start=start))


def _unheard(step: str) -> None:
    """Nobody watches."""


def replay(night: str, lists: str | None = None, *, on_step: Callable[[str], None] = _unheard) -> Facts:
    """
    Make a night's lists again: ``lists`` is the fingerprint of those meant, else the night's current ones.

    ``on_step`` hears the name of each of the steps ``PINNED`` before it runs.

    ``identical`` says whether every fingerprint and every row came out the same, ``differs`` which did not (after a
    change of settings or code they cannot). Raises MissingArtefact where there are no such lists, or where the version
    of the lake is not kept any more (``replay_days``).
    """
    settings = load_settings()
    job = Job(settings, settings.night(night))
    original = _original(job, lists)
    folder = job.workspace.home / "replays" / f"{night}-{original.fingerprint}"
    with locked(folder.with_name(f".{folder.name}.lock"), f"the replay of night {night}"):
        again = _again(job, original, folder)
        _lay_out(job, original, folder)
        starts = _starts(job, original)
        for step in PINNED:
            log.info("replay of night %s: %s", night, step)
            on_step(step)
            import_module(f"recsys_tasks.steps.{step}").run(again.starting(starts.get(step, "warm")))
        return _compared(job, original, again)


def _original(job: Job, fingerprint: str | None) -> Artefact:
    if fingerprint is None:
        return job.workspace.need("lists", job.night)
    try:
        return job.workspace.at(f"lists/{job.night}/{fingerprint}")
    except MissingArtefact:
        folder = job.workspace.artefacts / "lists" / str(job.night)
        kept = sorted(p.name for p in folder.glob("*") if p.is_dir())
        raise MissingArtefact(
            f"night {job.night} has no lists {fingerprint}; kept are {', '.join(kept) or 'none'}"
        ) from None


def _again(job: Job, original: Artefact, folder: Path) -> ReplayJob:
    told = original.manifest
    champion = _evaluation_of(job, original).manifest["inputs"]["champion"]
    pin = Pin(
        lake={name: told["recorded"][name] for name in ("events", "items")},
        state=told["inputs"]["lake"],
        champion=None if is_popular(champion) else Accepted(_night_of(champion), champion),
    )
    options = Options(top_k=told["settings"]["top_k"], publish="dry_run", run_id="replay")
    return ReplayJob(job.settings, job.night, options, pin, folder=folder)


def _night_of(model: Mapping[str, Any]) -> date:
    """A model is of the night of its towers."""
    return date.fromisoformat(str(model["towers"]).split("/")[1])


def _starts(job: Job, original: Artefact) -> dict[str, Start]:
    """
    Where each step began, by what it left then: an operator may have started from scratch, or only from some step on.

    What a night made of its own it would make from scratch just so; what it went on with it would not look for.
    """
    own = {it.name: it.manifest["inputs"] for it in _family(job, original)}
    scratch: set[str] = set()
    if own["towers"]["warm"] is None:
        scratch.add("train_towers")
    if "ranker" in own:
        # They look for the ranker that goes with tonight's towers.
        scratch |= {"train_ranker", "evaluate", "gate"}
    if "encoder" in own:
        scratch |= {"encode_items"} if own["encoder"]["warm"] else {"finetune_encoder", "encode_items"}
    return dict.fromkeys(scratch, "scratch")


def _evaluation_of(job: Job, lists: Artefact) -> Artefact:
    """The evaluation on which these lists were decided: it read the same lake, and their model was in it."""
    folder = job.workspace.artefacts / "evaluation" / str(job.night)
    kept = [
        Artefact("evaluation", str(job.night), f.parent.name, f.parent)
        for f in folder.glob("*/manifest.json")
    ]
    current = job.workspace.find("evaluation", job.night)
    inputs = lists.manifest["inputs"]
    # Where several would do, the one that the night chose last.
    for evaluation in sorted(kept, key=lambda one: (one != current, one.fingerprint)):
        read = evaluation.manifest["inputs"]
        if read["lake"] == inputs["lake"] and inputs["model"] in (read["challenger"], read["champion"]):
            return evaluation
    raise MissingArtefact(
        f"the evaluation behind {lists.ref} is gone, and with it the name of the champion it met"
    )


def _lay_out(job: Job, original: Artefact, folder: Path) -> None:
    """
    An empty workspace in which known vectors and the artefacts of earlier nights can be read.

    Of an earlier night, what the original was made from counts as its choice: the night may have been run again since.
    """
    shutil.rmtree(folder, ignore_errors=True)
    used = {tuple(ref.split("/")[:2]): ref.split("/")[2] for ref in made_from(job, [original.ref])}
    for kind in job.workspace.artefacts.iterdir():
        (folder / "artefacts" / kind.name).mkdir(parents=True)
        for night in (n for n in kind.iterdir() if n.name < str(job.night)):
            place = folder / "artefacts" / kind.name / night.name
            place.mkdir()
            for artefact in (a for a in night.iterdir() if a.is_dir()):
                (place / artefact.name).symlink_to(artefact, target_is_directory=True)
            chosen = job.workspace.find(kind.name, night.name)
            current = used.get((kind.name, night.name), chosen and chosen.fingerprint)
            if current:
                write_whole(place / "current", current)
    cache = job.workspace.home / "cache"
    cache.mkdir(exist_ok=True)
    for place in (cache, job.workspace.lake):
        (folder / place.name).symlink_to(place, target_is_directory=True)


def _compared(job: Job, original: Artefact, again: ReplayJob) -> Facts:
    lists = again.workspace.need("lists", job.night)
    mine = {it.name: it.fingerprint for it in _family(again, lists)}
    theirs = {it.name: it.fingerprint for it in _family(job, original)}
    differs = sorted(name for name in {**mine, **theirs} if mine.get(name) != theirs.get(name))
    if not _rows(lists).equals(_rows(original)):
        differs.append("rows of the lists")
    return {
        "night": str(job.night),
        "versions": again.lake.versions(),
        "original": original.ref,
        "lists": str(lists.path),
        "fingerprints": mine,
        "identical": not differs,
        "differs": differs,
    }


def _family(job: Job, lists: Artefact) -> list[Artefact]:
    """These lists, the evaluation before them, and what was made for both on the same night."""
    refs = made_from(job, [lists.ref, _evaluation_of(job, lists).ref])
    own = sorted(ref for ref in refs if ref.split("/")[1] == lists.night)
    return [job.workspace.at(ref) for ref in own]


def _rows(lists: Artefact) -> pl.DataFrame:
    return pl.read_parquet(lists.path / "lists.parquet")
