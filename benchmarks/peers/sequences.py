"""SASRec and eSASRec of the library RecTools, trained by the worker; epochs and dropout are chosen inside the log."""

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import polars as pl

from benchmarks.peers import bench
from benchmarks.peers.base import Log
from benchmarks.peers.choose import RULES, Inner, Settings, split
from benchmarks.peers.coded import Coded, positions
from benchmarks.peers.lists import Lists

RULE_NAMES = {True: "new", False: "all"}


class Sasrec:
    """
    SASRec (Kang and McAuley, 2018) with sampled softmax; see ``worker_sequences`` for the training.

    Each dropout is trained on the log without its end until neither seen rule's NDCG@10 improves for ``PATIENCE``
    rounds (a round is an epoch or at least 100 steps) or its share of ``SECONDS`` of processor time is spent. The
    best dropout and number of epochs of each rule are then trained on the whole log, which takes about as long
    again at most: 4 minutes in all on two cores. Deterministic for a number of threads (OMP_NUM_THREADS, else one
    a core), as long as the budget is not what ends it.
    """

    name: ClassVar[str] = "sasrec"
    reads: ClassVar[bool] = True
    SECONDS: ClassVar[float] = 240.0
    PATIENCE: ClassVar[int] = 4
    ROUNDS: ClassVar[int] = 60
    SEED: ClassVar[int] = 0
    DROPOUTS: ClassVar[tuple[float, ...]] = (0.2, 0.5)
    COMMON: ClassVar[Settings] = {
        "max_len": 50,
        "factors": 64,
        "blocks": 2,
        "heads": 4,
        "negatives": 512,
        "lr": 2e-3,
        "positions": 768,
    }

    def __init__(self) -> None:
        self.chosen: dict[str, Any] = {}
        self._lists: Lists | None = None
        self._opinions: dict[bool, bench.Factors] = {}

    def fit(self, log: Log) -> None:
        """Choose inside the log, then learn from all of it."""
        chosen = self._choose(split(log.learned()))
        coded, readers = Coded.of(log.learned()).read(log), log.only_read().users.unique()
        for settings in {chosen[rule]["dropout"]: chosen[rule] for rule in RULES}.values():
            rules = [rule for rule in RULES if chosen[rule]["dropout"] == settings["dropout"]]
            self._opinions |= self._fitted(
                coded, readers, settings, {rule: chosen[rule]["epochs"] for rule in rules}
            )
        self._lists = Lists(log)
        self.chosen = {RULE_NAMES[rule]: chosen[rule] for rule in RULES}

    def top(self, users: pl.Series, k: int, new_only: bool) -> pl.DataFrame:
        """See ``Peer.top``."""
        assert self._lists is not None, f"{self.name}: fit before top"
        return self._lists.top(users, k, new_only, self._opinions[new_only])

    def _choose(self, inner: Inner) -> dict[bool, Settings]:
        """Settings with the number of epochs for each seen rule; the first setting wins a tie."""
        coded = Coded.of(inner.log)
        request = {
            "task": "choose",
            "settings": [{**self.COMMON, "dropout": dropout} for dropout in self.DROPOUTS],
            "rounds": self.ROUNDS,
            "patience": self.PATIENCE,
            "seconds": self.SECONDS,
        }
        with TemporaryDirectory() as folder:
            self._call(Path(folder), coded, request, _held_out(inner, coded))
            curves = json.loads((Path(folder) / "choice.json").read_text(encoding="utf-8"))
        return {rule: _best(curves, RULE_NAMES[rule]) for rule in RULES}

    def _fitted(
        self, coded: Coded, readers: pl.Series, settings: Settings, epochs: dict[bool, int]
    ) -> dict[bool, bench.Factors]:
        request = {"task": "fit", "settings": [settings], "keep": sorted(set(epochs.values()))}
        with TemporaryDirectory() as folder:
            self._call(Path(folder), coded, request, {"events": bench.events(coded, readers)})
            return {rule: bench.factors(Path(folder), coded, str(epoch)) for rule, epoch in epochs.items()}

    def _call(
        self, folder: Path, coded: Coded, request: dict[str, Any], frames: dict[str, pl.DataFrame]
    ) -> None:
        threads = int(os.environ.get("OMP_NUM_THREADS", 0)) or os.cpu_count()
        size = {"users": len(coded.users), "items": len(coded.items), "threads": threads, "seed": self.SEED}
        bench.call(folder, {"model": self.name, **size, **request}, {"events": bench.events(coded), **frames})


class Esasrec(Sasrec):
    """eSASRec (2025): SASRec's objective, LiGR layers, sampled softmax."""

    name: ClassVar[str] = "esasrec"


def _held_out(inner: Inner, coded: Coded) -> dict[str, pl.DataFrame]:
    """What the worker validates on, as positions; an item that the inner log lacks cannot be hit and is left out."""
    targets = inner.sample()
    place = {
        "user": positions(targets["user_id"], coded.users),
        "item": positions(targets["item_id"], coded.items),
    }
    known = targets.select("is_new").with_columns(**{name: pl.Series(at) for name, at in place.items()})
    offered = positions(coded.items, inner.log.items_offered) >= 0
    return {
        "targets": known.filter(pl.col("user") >= 0, pl.col("item") >= 0),
        "offered": pl.DataFrame({"offered": offered}),
    }


def _best(curves: list[dict[str, Any]], rule: str) -> Settings:
    """The settings and number of epochs with the highest value under a rule; earlier ones win ties."""
    value, settings, epochs = -1.0, curves[0]["settings"], 1
    for curve in curves:
        for scored in curve["curve"]:
            if scored[rule] > value:
                value, settings, epochs = scored[rule], curve["settings"], scored["epoch"]
    return {**settings, "epochs": epochs}
