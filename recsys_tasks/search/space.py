"""What a search tries: a space turns a trial's suggestions into settings, and starts as near to the shop as it can."""

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
        """The first trial: the suggestions that amount to what the shop says now of what is tried."""

    @abstractmethod
    def as_file(self, choice: C) -> dict[str, Any]:
        """The choice as the file that shop.yaml can name."""

    def beside(self) -> dict[str, Any]:
        """What shop.yaml must say where it names that file, as it did in the trials; by default nothing."""
        return {}


def changed(section: S, update: dict[str, Any]) -> S:
    """As ``model_copy``, checked."""
    return type(section)(**{**dict(section), **update})
