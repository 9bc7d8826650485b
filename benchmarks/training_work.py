"""What `benchmarks.training_speed` has its systems do, and each of them in a process of its own."""

import json
import logging
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import polars as pl

from benchmarks.environments import run_module
from recsys_tasks.errors import TrainingFailed

log = logging.getLogger(__name__)

Row = dict[str, Any]
Found = dict[str, Any]
LOSS_TOLERANCE = 1e-4
LEAST_COSINE = 0.9999


def run(system: str, folder: Path, request: dict[str, Any]) -> Found:
    """One process: cpu, seconds, peak_mb of the work, and what it found. Peers need the environment of `make bench`."""
    (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
    run_module(system, "benchmarks.training_run", system, str(folder), peers=system.startswith("peer"))
    found: Found = json.loads((folder / "found.json").read_text(encoding="utf-8"))
    log.info("%s: CPU %.1f s, %.1f s, peak %.0f MB", system, found["cpu"], found["seconds"], found["peak_mb"])
    return found


def write_texts(file: Path, texts: list[str]) -> None:
    pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)}).write_parquet(file)


def write_work(
    folder: Path, texts: list[str], anchor: np.ndarray, positive: np.ndarray, request: dict[str, Any]
) -> float:
    """Texts, pairs and, for the peers, the batches that the product draws; how many distinct texts a batch has."""
    from benchmarks.training_ours import batches

    drawn = batches(len(texts), anchor, positive, request)
    write_texts(folder / "texts.parquet", texts)
    pl.DataFrame({"anchor": anchor, "positive": positive}).write_parquet(folder / "pairs.parquet")
    anchors, positives = (np.concatenate(side) for side in zip(*drawn, strict=True))
    pl.DataFrame({"anchor": anchors, "positive": positives}).write_parquet(folder / "batches.parquet")
    return float(np.mean([len(np.unique(np.concatenate(batch))) for batch in drawn]))


def loss_difference(ours: list[float], peers: list[float]) -> float:
    """The greatest difference of a step's losses; TrainingFailed where the systems did not learn the same."""
    if len(ours) != len(peers):
        raise TrainingFailed(f"ours took {len(ours)} steps, sentence-transformers {len(peers)}")
    apart = np.abs(np.array(ours) - np.array(peers))
    if not apart.max() <= LOSS_TOLERANCE:
        step = int(np.argmax(apart > LOSS_TOLERANCE))
        raise TrainingFailed(
            f"step {step}: the losses are {ours[step]:.5f} and {peers[step]:.5f}, more than {LOSS_TOLERANCE} apart: "
            "the systems do not do the same work"
        )
    return float(apart.max())


def least_cosine(ours: np.ndarray, peers: np.ndarray) -> float:
    """Of any text's two vectors; TrainingFailed where one is below LEAST_COSINE."""
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(peers, axis=1)
    cosines = np.einsum("nd,nd->n", ours, peers) / lengths
    if not cosines.min() >= LEAST_COSINE:
        text = int(cosines.argmin())
        raise TrainingFailed(f"text {text}: the vectors' cosine is {cosines[text]:.6f}, below {LEAST_COSINE}")
    return float(cosines.min())


def middle(runs: list[Found], name: str) -> float:
    return float(median(one[name] for one in runs))


def row(system: str, metric: str, value: float, unit: str) -> Row:
    return {"system": system, "metric": metric, "value": value, "unit": unit}
