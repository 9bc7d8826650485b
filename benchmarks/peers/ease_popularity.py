"""EASE, plain or decayed, plus what sells now: score + weight * log(1 + users of the last 28 days)."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import polars as pl

from benchmarks.peers.base import Log
from benchmarks.peers.choose import RULES, Learn, Settings, choose, split
from benchmarks.peers.coded import Floats, Ints, popularity
from benchmarks.peers.ease import Ease, EaseDecayed
from benchmarks.peers.lists import Opinion

WEIGHTS = (0.1, 0.3, 1.0, 3.0)
DAYS = 28.0
SAMPLE = 512


@dataclass(frozen=True)
class WithPopularity:
    """An opinion and a prior (m,) over its items, both brought to a spread of one over the users sampled."""

    base: Opinion
    prior: Floats
    weight: float
    spread: float

    @classmethod
    def of(cls, base: Opinion, prior: Floats, weight: float) -> "WithPopularity":
        """Measure the spreads; ``weight`` 1 gives both parts equal say."""
        step = -(-len(base.users) // SAMPLE) or 1
        spread = float(base.scores(np.arange(0, len(base.users), step)).std()) if len(base.users) else 0.0
        return cls(base, prior / np.float32(prior.std() or 1), weight, spread or 1.0)

    @property
    def users(self) -> pl.Series:
        """Whom the base knows."""
        return self.base.users

    @property
    def items(self) -> pl.Series:
        """What the base knows."""
        return self.base.items

    def scores(self, rows: Ints) -> Floats:
        """(B, m)."""
        scores: Floats = (
            self.base.scores(rows) / np.float32(self.spread) + np.float32(self.weight) * self.prior
        )
        return scores


class EasePopularity(Ease):
    """The best EASE of the log, then the weight of popularity, both chosen in the log."""

    name: ClassVar[str] = "ease+popularity"

    def grid(self, log: Log) -> list[Settings]:
        return [*EaseDecayed().grid(log), *Ease().grid(log)]

    def choose(self, log: Log) -> dict[bool, Settings]:
        """First the EASE, then the popularity on top of it: a full grid would fit each EASE many times."""
        inner = split(log)
        learn = self.learner(inner.log, True)
        base = choose(inner, self.grid(log), learn)
        fitted = {rule: learn(base[rule]) for rule in RULES}
        days = DAYS if log.times is not None else None
        mixes: list[Settings] = [{"weight": w, "days": days} for w in WEIGHTS]
        mixes.insert(0, {"weight": 0.0})
        both: dict[bool, Settings] = {}
        for rule in RULES:
            mix = partial(self._mix, fitted[rule], inner.log)
            both[rule] = base[rule] | choose(inner, mixes, mix)[rule]
        return both

    def learner(self, log: Log, trying: bool) -> Learn:
        ease = super().learner(log, trying)

        def learn(settings: Settings) -> Opinion:
            return self._mix(ease(settings), log, settings)

        return learn

    def _mix(self, base: Opinion, log: Log, settings: Settings) -> Opinion:
        if not settings.get("weight"):
            return base
        prior = np.log1p(popularity(log, base.items, days=settings["days"])).astype(np.float32)
        return WithPopularity.of(base, prior, settings["weight"])
