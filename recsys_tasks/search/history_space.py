"""
Policies of views of histories, for the towers.

A shop whose histories have views keeps their weight; for any other they are tried with the user tower that has them,
``user: transformer``, and a ``view_weight`` of VIEW_WEIGHT.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from optuna.trial import BaseTrial

from recsys_tasks.search.policies import HISTORIES
from recsys_tasks.search.space import Space, changed
from recsys_tasks.settings import TowerSettings
from recsys_tasks.settings.augment import HistoryPolicy

VIEW_WEIGHT = 0.1


@dataclass(frozen=True)
class HistorySpace(Space[TowerSettings]):
    """Nothing of ``towers`` but what concerns views is changed."""

    towers: TowerSettings

    over: ClassVar[str] = "the same towers without views"
    axis: ClassVar[str] = f"gain over {over}"

    def choice(self, trial: BaseTrial) -> TowerSettings:
        return self._towers(self.towers.view_weight or VIEW_WEIGHT, HISTORIES.asked(trial))

    def start(self) -> dict[str, Any]:
        return HISTORIES.start(self.towers.augment)

    def as_file(self, choice: TowerSettings) -> dict[str, Any]:
        policy: dict[str, Any] = choice.model_dump(mode="json")["augment"]
        return policy

    def without_views(self) -> TowerSettings:
        """What every trial is a gain over."""
        return self._towers(0.0, HistoryPolicy())

    def _towers(self, view_weight: float, policy: HistoryPolicy) -> TowerSettings:
        update = {"user": "transformer", "view_weight": view_weight, "augment": policy}
        return changed(self.towers, update)
