"""The folder between a step and a training process: what is asked, and what comes back."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from safetensors.numpy import load_file, save_file

from recsys_tasks.model.arrays import Floats
from recsys_tasks.settings import EncoderSettings
from recsys_tasks.settings.encoder import HOW_IT_RUNS
from recsys_tasks.training.encoder_data import EncoderData

MODEL = "tuned"
PROJECTION = "projection.safetensors"
VECTORS = "vectors.safetensors"
# Where texts were compared by anything but the cosine: how (model.similarity).
SIMILARITY = "similarity.safetensors"
START = "start.safetensors"
REPORT = "report.json"
LOSSES = "losses.json"
JOB = "job.json"
TEXTS = "texts.parquet"
DATA = "data.safetensors"
PLACES = "places.json"
# First and last loss are means over this many steps: single batches scatter more than training moves them.
LOSS_STEPS = 10


@dataclass(frozen=True)
class Report:
    """How the training went; losses are means over the first and the last LOSS_STEPS steps."""

    loss_first: float
    loss_last: float
    steps: int
    texts: int
    drift: float
    """How far the vectors moved (training.drift)."""


@dataclass(frozen=True)
class Places:
    """Where a training puts what outlives its folder; an empty path: nowhere."""

    checkpoints: str = ""
    """Each request has a folder of its own in there."""
    curves: str = ""


def write_job(
    folder: Path,
    model: Path,
    settings: EncoderSettings,
    seed: int,
    texts: pl.Series,
    data: EncoderData,
    start_vectors: Floats | None = None,
    separators: Sequence[str] = (),
    places: Places | None = None,
) -> None:
    """
    What ``main`` reads. ``start_vectors``: the model's raw vectors of all texts, where they are known already;
    ``separators``: what stands between the fields of a text, for views.
    """
    folder.mkdir(parents=True, exist_ok=True)
    job = {
        "model": str(model),
        "settings": settings.model_dump(mode="json"),
        "seed": seed,
        "separators": list(separators),
    }
    (folder / JOB).write_text(json.dumps(job, indent=2), encoding="utf-8")
    pl.DataFrame({"text": texts}).write_parquet(folder / TEXTS)
    data.save(folder / DATA)
    (folder / PLACES).write_text(json.dumps(asdict(places or Places())), encoding="utf-8")
    if start_vectors is not None:
        save_file({"start": np.ascontiguousarray(start_vectors)}, folder / START)


def read_places(folder: Path) -> Places:
    return Places(**json.loads((folder / PLACES).read_text(encoding="utf-8")))


def request_of(folder: Path) -> str:
    """64 hex digits of all that decides what the training gives; how it is run has no part in them."""
    job = json.loads((folder / JOB).read_text(encoding="utf-8"))
    decides = {name: value for name, value in job["settings"].items() if name not in HOW_IT_RUNS}
    digest = hashlib.sha256(json.dumps({**job, "settings": decides}, sort_keys=True).encode())
    for name in (TEXTS, DATA, START):
        if (folder / name).is_file():
            with (folder / name).open("rb") as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()


def shown_settings(folder: Path) -> dict[str, str | int | float | bool | None]:
    """What decides what the training gives, as trackers show it: one value a name, as in ``contrast.objective``."""
    job = json.loads((folder / JOB).read_text(encoding="utf-8"))
    decides = {name: value for name, value in job["settings"].items() if name not in HOW_IT_RUNS}
    return {**_flat(decides), "model": job["model"], "seed": job["seed"]}


def _flat(settings: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{before}{name}.")
        else:
            flat[f"{before}{name}"] = json.dumps(value) if isinstance(value, list) else value
    return flat


def read_report(folder: Path) -> Report:
    return Report(**json.loads((folder / REPORT).read_text(encoding="utf-8")))


def read_losses(folder: Path) -> list[float]:
    """One a step."""
    losses: list[float] = json.loads((folder / LOSSES).read_text(encoding="utf-8"))
    return losses


def read_vectors(folder: Path) -> Floats:
    """The tuned encoder's raw vectors of all texts."""
    tuned: Floats = load_file(folder / VECTORS)["tuned"]
    return tuned


def write_report(folder: Path, losses: list[float], texts: int, drift: float) -> None:
    first, last = np.mean(losses[:LOSS_STEPS]), np.mean(losses[-LOSS_STEPS:])
    report = Report(round(float(first), 5), round(float(last), 5), len(losses), texts, round(drift, 5))
    (folder / LOSSES).write_text(json.dumps(losses), encoding="utf-8")
    (folder / REPORT).write_text(json.dumps(asdict(report)), encoding="utf-8")
