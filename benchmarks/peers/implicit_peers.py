"""ALS and BPR of the library `implicit`, fitted by the worker."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import numpy as np
import polars as pl

from benchmarks.peers import bench
from benchmarks.peers.base import Log
from benchmarks.peers.choose import Learn, Settings
from benchmarks.peers.coded import Coded, positions
from benchmarks.peers.lists import Opinion
from benchmarks.peers.tuned import Tuned

SEED = 0


class Als(Tuned):
    """Weighted matrix factorisation; a cell is a user's heaviest event with an item, times ``alpha``."""

    name: ClassVar[str] = "als"

    def grid(self, log: Log) -> list[Settings]:
        common = {"factors": 128, "iterations": 15}
        return [
            {**common, "alpha": alpha, "regularization": strength}
            for alpha, strength in ((2.0, 10.0), (2.0, 3.0), (1.0, 10.0), (10.0, 30.0))
        ]

    def learner(self, log: Log, trying: bool) -> Learn:
        items = Coded.of(log.learned())
        coded, read = items.read(log), log.only_read()

        def learn(settings: Settings) -> Opinion:
            cells = {"events": _cells(items, coded.users), "readers": _cells(items.read(read), coded.users)}
            size = {"users": len(coded.users), "items": len(coded.items)}
            request = {"model": self.name, "settings": [settings], "seed": SEED, **size}
            with TemporaryDirectory() as folder:
                bench.call(Path(folder), request, cells)
                return bench.factors(Path(folder), coded, "0")

        return learn


class Bpr(Als):
    """Pairwise ranking by stochastic gradient steps. Its users are learned, so it cannot read."""

    name: ClassVar[str] = "bpr"
    reads: ClassVar[bool] = False

    def grid(self, log: Log) -> list[Settings]:
        common = {"factors": 128, "learning_rate": 0.05}
        return [
            {**common, "iterations": steps, "regularization": strength}
            for steps, strength in ((150, 0.01), (150, 0.002), (300, 0.002))
        ]


def _cells(coded: Coded, users: pl.Series) -> pl.DataFrame:
    """A cell a row; ``user`` is a position in ``users``."""
    taste = coded.matrix().tocoo()
    weight = taste.data.astype(np.float32)
    return pl.DataFrame(
        {
            "user": positions(coded.users, users)[taste.row],
            "item": taste.col.astype(np.int64),
            "weight": weight,
        }
    )
