"""
Where things lie, and the one rule that makes nights repeatable.

An artefact is a folder ``artefacts/<name>/<night>/<fingerprint>/`` whose ``manifest.json`` is written last. No
manifest: it does not exist. Same fingerprint: it is reused. Another fingerprint: a sibling; nothing is
overwritten. Beside the siblings, ``current`` names the one this night's latest run chose.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from recsys_tasks.calendar import Night
from recsys_tasks.errors import MissingArtefact
from recsys_tasks.files import locked, write_whole

PACKAGE = Path(__file__).parent
MANIFEST = "manifest.json"

# Which step makes an artefact, for the words of an error.
MADE_BY = {
    "pairs": "build_pairs",
    "encoder": "finetune_encoder",
    "vectors": "encode_items",
    "towers": "train_towers",
    "ranker": "train_ranker",
    "index": "build_index",
    "evaluation": "evaluate",
    "refit": "refit_towers",
    "lists": "recommend",
}

# JSON of whatever made an artefact.
Facts = dict[str, Any]


@dataclass(frozen=True)
class Artefact:
    """A finished artefact."""

    name: str
    night: str
    fingerprint: str
    path: Path

    @property
    def ref(self) -> str:
        """``name/night/fingerprint``: how artefacts are named between tasks and in the store."""
        return f"{self.name}/{self.night}/{self.fingerprint}"

    @property
    def manifest(self) -> Facts:
        facts: Facts = json.loads((self.path / MANIFEST).read_text(encoding="utf-8"))
        return facts

    @property
    def metrics(self) -> Facts:
        metrics: Facts = self.manifest["metrics"]
        return metrics


@dataclass
class Draft:
    """An artefact being made: write into ``path``, put figures into ``metrics``."""

    artefact: Artefact
    path: Path
    is_new: bool
    metrics: Facts = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        return self.artefact.fingerprint


@dataclass(frozen=True)
class Workspace:
    """The folder of one shop."""

    home: Path

    @property
    def artefacts(self) -> Path:
        return self.home / "artefacts"

    @property
    def lake(self) -> Path:
        return self.home / "lake"

    @property
    def quarantine(self) -> Path:
        return self.home / "quarantine"

    @property
    def postgres(self) -> Path:
        return self.home / "postgres"

    @property
    def checkpoints(self) -> Path:
        """Trainings that are under way, or were broken off: a folder each, by the fingerprint of what they make."""
        return self.home / "checkpoints"

    @property
    def curves(self) -> Path:
        """What trackers write to files: ``tensorboard --logdir`` shows it."""
        return self.home / "curves"

    def records(self, night: Night) -> Path:
        """What each step of the night reported, one JSON file a step."""
        return self.home / "records" / str(night)

    @contextmanager
    def artefact(
        self,
        name: str,
        night: Night,
        *,
        inputs: Mapping[str, Any],
        settings: BaseModel | Mapping[str, Any],
        rooms: tuple[str, ...],
        seed: int = 0,
        recorded: Mapping[str, Any] | None = None,
    ) -> Iterator[Draft]:
        """
        Open an artefact: found whole (``is_new`` false, nothing to do) or to be written.

        ``rooms`` are the modules and folders of ``recsys_tasks`` whose code makes it; their sources are part of
        the fingerprint. ``recorded`` goes into the manifest only (the Delta version read: newer commits change it
        without changing what the night sees). On an error nothing is left behind. Raises Busy while another
        process makes it.
        """
        chosen = settings.model_dump(mode="json") if isinstance(settings, BaseModel) else dict(settings)
        made_from = {
            "inputs": dict(inputs),
            "settings": chosen,
            "seed": seed,
            "code": {room: code_version(room) for room in sorted(rooms)},
        }
        fingerprint = fingerprint_of({"name": name, "as_of": night.as_of.isoformat(), **made_from})
        home = self.artefacts / name / str(night)
        done = Artefact(name, str(night), fingerprint, home / fingerprint)
        with locked(home / ".lock", f"{name} of night {night}"):
            if (done.path / MANIFEST).is_file():
                yield Draft(done, done.path, is_new=False)
            else:
                yield from _written(done, night, {**made_from, "recorded": dict(recorded or {})})
            write_whole(home / "current", fingerprint)

    def find(self, name: str, night: Night | str) -> Artefact | None:
        """The artefact the latest run of that night chose, if there is one."""
        home = self.artefacts / name / str(night)
        try:
            fingerprint = (home / "current").read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None
        artefact = Artefact(name, str(night), fingerprint, home / fingerprint)
        return artefact if (artefact.path / MANIFEST).is_file() else None

    def need(self, name: str, night: Night | str) -> Artefact:
        """As ``find``; raises MissingArtefact with the step to run."""
        found = self.find(name, night)
        if found is None:
            step = MADE_BY.get(name, name)
            raise MissingArtefact(f"night {night} has no {name} yet: run the step {step} first")
        return found

    def at(self, ref: str) -> Artefact:
        """The artefact a ``name/night/fingerprint`` names; raises MissingArtefact where it is gone."""
        name, night, fingerprint = ref.split("/")
        artefact = Artefact(name, night, fingerprint, self.artefacts / ref)
        if not (artefact.path / MANIFEST).is_file():
            raise MissingArtefact(f"artefact {ref} is gone from {self.artefacts}")
        return artefact

    def newest_before(self, name: str, night: Night) -> Artefact | None:
        """The artefact of that name of the newest strictly earlier night."""
        home = self.artefacts / name
        nights = sorted((p.name for p in home.iterdir() if p.is_dir()), reverse=True) if home.is_dir() else []
        found = (self.find(name, earlier) for earlier in nights if earlier < str(night))
        return next((artefact for artefact in found if artefact is not None), None)


def _written(done: Artefact, night: Night, facts: Facts) -> Iterator[Draft]:
    scratch = done.path.with_name(done.path.name + ".partial")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        draft = Draft(done, scratch, is_new=True)
        yield draft
        manifest = {
            "name": done.name,
            "night": str(night),
            "as_of": night.as_of.isoformat(),
            "fingerprint": done.fingerprint,
            **facts,
            "metrics": draft.metrics,
        }
        # A folder without a manifest (a kill between two writes) is no artefact and may be replaced.
        shutil.rmtree(done.path, ignore_errors=True)
        write_whole(scratch / MANIFEST, json.dumps(manifest, indent=2, sort_keys=True, default=str))
        scratch.replace(done.path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def fingerprint_of(facts: Mapping[str, Any]) -> str:
    """16 hex digits of the SHA-256 of the facts as sorted JSON."""
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def code_version(room: str) -> str:
    """A hash over the sources of one room: a module (``schema``) or a folder (``pairs``) of this package."""
    place = PACKAGE / room
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.relative_to(PACKAGE).as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
