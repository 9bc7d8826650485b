"""Calls the worker in the environment of `make bench` and reads back its vectors."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.environments import run_module
from benchmarks.peers.coded import Coded, Floats, Ints


@dataclass(frozen=True)
class Factors:
    """Scores that are products of user vectors (U, d) and item vectors (m, d); a NaN is no opinion."""

    users: pl.Series
    items: pl.Series
    user_vectors: Floats
    item_vectors: Floats

    def scores(self, rows: Ints) -> Floats:
        """(B, m)."""
        scores = self.user_vectors[rows] @ self.item_vectors.T
        return np.where(np.isnan(scores), np.float32(-np.inf), scores)


def events(coded: Coded, readers: pl.Series | None = None) -> pl.DataFrame:
    """What the worker reads of a log: an event a row, oldest first; those of ``readers`` are not learned from."""
    weight = coded.weight.astype(np.float32)
    read_only = np.zeros(len(coded.users), bool)
    if readers is not None:
        read_only = coded.users.is_in(readers.implode()).to_numpy()
    columns = {"user": coded.user, "item": coded.item, "weight": weight, "read_only": read_only[coded.user]}
    return pl.DataFrame(columns)


def call(folder: Path, request: dict[str, Any], frames: dict[str, pl.DataFrame]) -> None:
    """Run the worker on a folder; it leaves its results there. Raises as ``run_module`` does."""
    for name, frame in frames.items():
        frame.write_parquet(folder / f"{name}.parquet")
    (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
    run_module(request["model"], "benchmarks.peers.worker", str(folder), peers=True)


def factors(folder: Path, coded: Coded, name: str) -> Factors:
    """The vectors that the worker left under a name."""
    return Factors(
        coded.users,
        coded.items,
        np.load(folder / f"users-{name}.npy").astype(np.float32),
        np.load(folder / f"items-{name}.npy").astype(np.float32),
    )
