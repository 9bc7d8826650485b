"""Where the choices of one search are tried."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from recsys_tasks.search.space import Space
from recsys_tasks.search.study import Score

C = TypeVar("C")


class Days(NamedTuple):
    """A trial is trained on what happened before ``cut``, and judged on the days from there to ``until``."""

    cut: datetime
    until: datetime


@dataclass(frozen=True)
class Arena(ABC, Generic[C]):
    """What may be tried, on which days, and how good a choice is."""

    days: Days
    """No trial reads an event from the end of them on."""

    rooms: ClassVar[tuple[str, ...]]
    """The code that a value depends on."""

    @property
    @abstractmethod
    def space(self) -> Space[C]:
        """What may be tried."""

    @abstractmethod
    def score(self, choice: C) -> Score:
        """Train as the choice says, and judge; raises TrainingFailed where it cannot be trained."""

    @abstractmethod
    def depends_on(self) -> dict[str, Any]:
        """Settings and inputs that a value depends on, beside the choice."""
