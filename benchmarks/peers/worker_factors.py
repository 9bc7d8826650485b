"""
The worker's factor models, by the library `implicit`: ALS (Hu, Koren and Volinsky, 2008) and BPR (Rendle et al., 2009).

One thread: BPR's threads race, and its result must not depend on who wins.
"""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from implicit.als import AlternatingLeastSquares
from implicit.bpr import BayesianPersonalizedRanking
from scipy import sparse


def run(folder: Path, request: dict[str, Any]) -> None:
    """
    Fit each of ``request["settings"]``; factors go to users-0.npy, items-0.npy, users-1.npy, ...

    ALS solves for the users of readers.parquet once the items stand, by the library's own call.
    """
    taste, read = (_tastes(folder / f"{name}.parquet", request) for name in ("events", "readers"))
    readers = np.flatnonzero(np.diff(read.indptr))
    for number, settings in enumerate(request["settings"]):
        model = _model(request["model"], settings, request["seed"])
        model.fit(taste, show_progress=False)
        users = np.array(model.user_factors)
        if len(readers) and request["model"] == "als":
            users[readers] = model.recalculate_user(readers, read[readers])
        np.save(folder / f"users-{number}.npy", users)
        np.save(folder / f"items-{number}.npy", model.item_factors)


def _tastes(file: Path, request: dict[str, Any]) -> sparse.csr_matrix:
    events = pl.read_parquet(file)
    values = (events["weight"].to_numpy(), (events["user"].to_numpy(), events["item"].to_numpy()))
    return sparse.csr_matrix(values, shape=(request["users"], request["items"]), dtype=np.float32)


def _model(name: str, settings: dict[str, Any], seed: int) -> Any:
    kind = {"als": AlternatingLeastSquares, "bpr": BayesianPersonalizedRanking}[name]
    return kind(**settings, random_state=seed, num_threads=1, use_gpu=False)
