"""Policies of views, of texts or of histories, as trials suggest them (AutoAugment, arXiv 1805.09501, section 3)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args

from optuna.trial import BaseTrial

from recsys_tasks.settings.augment import HistoryOperation, HistoryPolicy, TextOperation, TextPolicy

# AutoAugment has five sub-policies of two operations; a nightly shop can afford fewer trials than it had.
SUB_POLICIES, STEPS = 3, 2
P = TypeVar("P", TextPolicy, HistoryPolicy)


@dataclass(frozen=True)
class Policies(Generic[P]):
    """Every policy of a kind that has SUB_POLICIES of STEPS operations."""

    kind: type[P]
    operations: tuple[str, ...]

    def asked(self, trial: BaseTrial) -> P:
        """The policy that a trial suggests."""
        return self.kind.model_validate(
            {
                "sub_policies": [
                    [self._operation(trial, _name(sub, step)) for step in range(STEPS)]
                    for sub in range(SUB_POLICIES)
                ]
            }
        )

    def start(self, own: P | Path) -> dict[str, Any]:
        """The shop's policy, its sub-policies taken in turn; the default where it has more than is tried here."""
        known = own if isinstance(own, self.kind) else self.kind()
        fits = len(known.sub_policies) <= SUB_POLICIES and all(len(s) <= STEPS for s in known.sub_policies)
        subs = (known if fits else self.kind()).sub_policies
        told: dict[str, Any] = {}
        for sub in range(SUB_POLICIES):
            steps = subs[sub % len(subs)]
            for step in range(STEPS):
                name, given = _name(sub, step), steps[step] if step < len(steps) else None
                told[f"{name} operation"] = given.operation if given else self.operations[0]
                told[f"{name} probability"] = given.probability if given else 0.0
                told[f"{name} strength"] = given.strength if given else 0.0
        return told

    def _operation(self, trial: BaseTrial, name: str) -> dict[str, Any]:
        return {
            "operation": trial.suggest_categorical(f"{name} operation", self.operations),
            # Two digits: a policy is read by people.
            "probability": round(trial.suggest_float(f"{name} probability", 0.0, 1.0), 2),
            "strength": round(trial.suggest_float(f"{name} strength", 0.0, 1.0), 2),
        }


TEXTS = Policies(TextPolicy, get_args(TextOperation))
HISTORIES = Policies(HistoryPolicy, get_args(HistoryOperation))


def _name(sub: int, step: int) -> str:
    return f"{sub + 1}.{step + 1}"
