"""What most peers share: a grid tried inside the log, then a fit of the winner on all of it."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import polars as pl

from benchmarks.peers.base import Log
from benchmarks.peers.choose import RULES, Learn, Settings, choose, split
from benchmarks.peers.lists import Lists, Opinion


class Tuned(ABC):
    """
    A peer with hyper-parameters. Subclasses say how to learn; the choice is made for each seen rule.

    ``chosen`` is {"new": settings, "all": settings}; where both rules choose the same, one fit serves both.
    """

    name: ClassVar[str]
    reads: ClassVar[bool] = True

    def __init__(self) -> None:
        self.chosen: dict[str, Any] = {}
        self._lists: Lists | None = None
        self._opinions: dict[bool, Opinion] = {}

    @abstractmethod
    def grid(self, log: Log) -> list[Settings]:
        """The settings to try, the one to prefer first."""

    @abstractmethod
    def learner(self, log: Log, trying: bool) -> Learn:
        """
        Prepare a log once; the answer fits one member of the grid and knows all shoppers of the log.

        ``trying``: it is only to choose by.
        """

    def fit(self, log: Log) -> None:
        """Choose inside the log, then learn from all of it."""
        chosen = self.choose(log.learned())
        learn = self.learner(log, False)
        fitted: list[tuple[Settings, Opinion]] = []
        for rule in RULES:
            known = [opinion for settings, opinion in fitted if settings == chosen[rule]]
            self._opinions[rule] = known[0] if known else learn(chosen[rule])
            fitted.append((chosen[rule], self._opinions[rule]))
        self._lists = Lists(log)
        self.chosen = {"new": chosen[True], "all": chosen[False]}

    def choose(self, log: Log) -> dict[bool, Settings]:
        """The best of the grid for each seen rule."""
        grid = self.grid(log)
        if len(grid) == 1:
            return dict.fromkeys(RULES, grid[0])
        inner = split(log)
        return choose(inner, grid, self.learner(inner.log, True))

    def top(self, users: pl.Series, k: int, new_only: bool) -> pl.DataFrame:
        """See ``Peer.top``."""
        assert self._lists is not None, f"{self.name}: fit before top"
        return self._lists.top(users, k, new_only, self._opinions[new_only])
