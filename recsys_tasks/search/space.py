"""What a search tries: each space turns a trial's suggestions into settings, and starts at what the shop has now."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, TypeVar

from optuna.trial import BaseTrial

from recsys_tasks.settings.section import Section

C = TypeVar("C")
S = TypeVar("S", bound=Section)


class Space(ABC, Generic[C]):
    """``C`` are the settings of one trial; what a space does not try stays as the shop says."""

    over: ClassVar[str]
    """What a trial's value is a gain over."""
    axis: ClassVar[str]
    """The same beside the picture's values."""

    @abstractmethod
    def choice(self, trial: BaseTrial) -> C:
        """Ask the trial for everything that is tried."""

    @abstractmethod
    def start(self) -> dict[str, Any]:
        """The suggestions that amount to what the shop has now: the first trial, to be beaten."""

    @abstractmethod
    def as_file(self, choice: C) -> dict[str, Any]:
        """The choice as the file that shop.yaml can name."""


def changed(section: S, update: dict[str, Any]) -> S:
    """As ``model_copy``, checked."""
    return type(section)(**{**dict(section), **update})
