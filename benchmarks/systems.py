"""
Every row's lists at a cut, made in a process of its own and kept with what they cost.

Lists are found again as long as everything that decides them is the same: the log and the catalogue before the cut,
artefacts, settings, code, and who is asked. So a run that was cut off goes on where it stopped.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.isolated import measured
from benchmarks.metrics import LENGTH
from benchmarks.night import FittedNight
from benchmarks.ours import OWN_ROWS, own_model
from benchmarks.peers.base import Log, Maker
from benchmarks.peers.registry import PEERS
from benchmarks.scene import Scene
from benchmarks.slices import TARGETS
from recsys_tasks.errors import SettingsError
from recsys_tasks.files import write_whole
from recsys_tasks.lake.records import content_hash
from recsys_tasks.recommend.recommend import Recommender
from recsys_tasks.steps.evaluate import list_settings
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.rooms import LIST_ROOMS
from recsys_tasks.workspace import code_version, fingerprint_of

HERE = Path(__file__).parent
OWN_CODE = ("ours.py", "plain_rows.py", "systems.py", "scene.py")


@dataclass(frozen=True)
class Made:
    """
    One row at one cut: ``lists`` by target ("all", "new"), and its cost: fit and lists of this cut together.

    ``chosen`` tells the hyper-parameters a peer chose inside the training period.
    """

    system: str
    lists: dict[str, pl.DataFrame]
    seconds: float
    peak_mb: float
    chosen: dict[str, Any]


def names(asked: Iterable[str] | None) -> list[str]:
    """The rows to make, in their order; raises SettingsError for one that does not exist."""
    known = [*OWN_ROWS, *peers()]
    unknown = sorted(set(asked or ()) - set(known))
    if unknown:
        raise SettingsError(f"--systems {', '.join(unknown)}: no such row; known: {', '.join(known)}")
    return [name for name in known if asked is None or name in set(asked)]


def peers() -> dict[str, Maker]:
    """The peers' makers by name; popularity has rows of its own here, which know the days."""
    return {name: maker for name, maker in PEERS.items() if not name.startswith("popular")}


def make(system: str, scene: Scene, users: pl.Series, night: FittedNight | None) -> Made:
    """The lists of ``users`` for both targets, LENGTH long, found or made."""
    job = scene.job
    key = fingerprint_of(_decides(system, scene, users, night))
    folder = job.workspace.home / "lists" / str(job.night) / f"{system}-{key}"
    if not (folder / "cost.json").exists():
        scratch = folder.with_name(folder.name + ".partial")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        refs = None if night is None else night.refs
        done = measured(_write, system, job, users, refs, scratch)
        cost = {"seconds": done.seconds, "peak_mb": done.peak_mb, "chosen": done.result}
        write_whole(scratch / "cost.json", json.dumps(cost, default=str))
        shutil.rmtree(folder, ignore_errors=True)
        scratch.replace(folder)
    return _read(system, folder, night)


def _write(
    system: str, job: Job, users: pl.Series, refs: dict[str, str] | None, folder: Path
) -> dict[str, Any]:
    """In the row's own process: write all.parquet and new.parquet; what a peer chose."""
    scene = Scene(job)
    if system in OWN_ROWS:
        for target, lists in own_lists(system, scene, users, refs).items():
            lists.write_parquet(folder / f"{target}.parquet")
        return {}
    peer = peers()[system]()
    peer.fit(log_of(scene))
    for target, new_only in TARGETS.items():
        peer.top(users, LENGTH, new_only).write_parquet(folder / f"{target}.parquet")
    return dict(getattr(peer, "chosen", {}))


def own_lists(
    system: str, scene: Scene, users: pl.Series, refs: dict[str, str] | None
) -> dict[str, pl.DataFrame]:
    """A product row's lists by target: what the night's ``recommend`` would write, at length LENGTH."""
    model = own_model(system, scene.job, refs)
    made = Recommender(model, scene.context)
    return {
        target: made.lists(users, LENGTH, new_only=new_only, explain=False)
        for target, new_only in TARGETS.items()
    }


def log_of(scene: Scene) -> Log:
    """What a peer sees: every event before the cut that models learn from, with its weight, and the offer."""
    settings, snapshot = scene.job.settings, scene.snapshot
    events = snapshot.events.filter(pl.col("event_type").is_in(list(settings.event_weights))).with_columns(
        weight=pl.col("event_type").replace_strict(settings.event_weights, return_dtype=pl.Float64),
        wanted=pl.col("event_type").is_in(list(settings.target_events)),
    )
    return Log.of(events, scene.offered, as_of=int(pl.Series([snapshot.as_of]).dt.epoch("us")[0]))


def _decides(system: str, scene: Scene, users: pl.Series, night: FittedNight | None) -> dict[str, Any]:
    """Everything that a row's lists depend on."""
    own, job = system in OWN_ROWS, scene.job
    files = [HERE / name for name in OWN_CODE] if own else sorted((HERE / "peers").rglob("*.py"))
    facts: dict[str, Any] = {
        "system": system,
        "length": LENGTH,
        "as_of": job.night.as_of,
        "lake": scene.state,
        "settings": list_settings(job) if own else peer_settings(job),
        "users": content_hash(users.to_frame()),
        "seed": job.settings.seed,
        "code": {file.name: hashlib.sha256(file.read_bytes()).hexdigest()[:12] for file in files},
    }
    if own:
        facts["rooms"] = {room: code_version(room) for room in (*LIST_ROOMS, "steps/serving")}
        facts["encoder"] = job.settings.encoder.model_dump(mode="json")
        facts["refs"] = night.refs if night is not None and OWN_ROWS[system].needs_night else None
    return facts


def peer_settings(job: Job) -> dict[str, Any]:
    """The settings that a peer's log and its offer depend on: the product's own models are none of them."""
    return {name: value for name, value in list_settings(job).items() if name != "ranker"}


def _read(system: str, folder: Path, night: FittedNight | None) -> Made:
    cost = json.loads((folder / "cost.json").read_text(encoding="utf-8"))
    seconds, peak_mb = cost["seconds"], cost["peak_mb"]
    row = OWN_ROWS.get(system)
    if row is not None and row.needs_night and night is not None:
        seconds += night.seconds(row.steps_left_out)
        peak_mb = max(peak_mb, night.peak_mb(row.steps_left_out))
    lists = {target: pl.read_parquet(folder / f"{target}.parquet") for target in TARGETS}
    return Made(system, lists, round(seconds, 2), peak_mb, cost["chosen"])
