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

    over: ClassVar[str] = "the shop's towers without views"
    axis: ClassVar[str] = f"gain over {over}"

    def choice(self, trial: BaseTrial) -> TowerSettings:
        return changed(self.towers, {**self._views(), "augment": HISTORIES.asked(trial)})

    def start(self) -> dict[str, Any]:
        return HISTORIES.start(self.towers.augment)

    def as_file(self, choice: TowerSettings) -> dict[str, Any]:
        policy: dict[str, Any] = choice.model_dump(mode="json")["augment"]
        return policy

    def beside(self) -> dict[str, Any]:
        return {"towers": self._views()}

    def without_views(self) -> TowerSettings:
        """What every trial is a gain over: a mean stays one, so that the gain is one over what the shop could keep."""
        return changed(self.towers, {"view_weight": 0.0, "augment": HistoryPolicy()})

    def _views(self) -> dict[str, Any]:
        return {"user": "transformer", "view_weight": self.towers.view_weight or VIEW_WEIGHT}
