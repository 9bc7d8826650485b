"""What a search tries: each space turns a trial's suggestions into settings, and starts at what the shop has now."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, get_args

from optuna.trial import BaseTrial

from recsys_tasks.settings import EncoderSettings, NegativeShares, PairSettings
from recsys_tasks.settings.augment import TextOperation, TextPolicy
from recsys_tasks.settings.contrast import Byol, Moco, NtXent

OPERATIONS = get_args(TextOperation)
# AutoAugment has five sub-policies of two operations; a nightly shop can afford fewer trials than it had.
SUB_POLICIES, STEPS = 3, 2
RATES, TEMPERATURES, BATCHES = (1e-6, 3e-4), (0.01, 0.5), (64, 128, 256)
CONTRASTS = ("info_nce", "nt_xent", "debiased", "hard_negatives", "moco", "byol")
# What TrainingSpace may change, by section of shop.yaml.
SEARCHED = {
    "encoder": (
        *("learning_rate", "temperature", "batch_texts", "frozen_layers"),
        *("objective", "contrast", "augment"),
    ),
    "pairs": ("negatives",),
}
KINDS = tuple(NegativeShares.model_fields)


@dataclass(frozen=True)
class Choice:
    """The settings of one trial."""

    encoder: EncoderSettings
    pairs: PairSettings

    def as_shop(self) -> dict[str, Any]:
        """What a shop.yaml would say of it."""
        return {
            "encoder": self.encoder.model_dump(mode="json"),
            "pairs": self.pairs.model_dump(mode="json"),
        }


@dataclass(frozen=True)
class Space(ABC):
    """``encoder`` and ``pairs`` are the shop's own; what a space does not try stays as they say."""

    encoder: EncoderSettings
    pairs: PairSettings
    layers: int
    """Of the encoder's base."""

    @abstractmethod
    def choice(self, trial: BaseTrial) -> Choice:
        """Ask the trial for everything that is tried."""

    @abstractmethod
    def start(self) -> dict[str, Any]:
        """The suggestions that amount to what the shop has now: the first trial, to be beaten."""


class AugmentSpace(Space):
    """Policies of views (AutoAugment, arXiv 1805.09501, section 3), by the shop's objective or else by NT-Xent."""

    def choice(self, trial: BaseTrial) -> Choice:
        policy = TextPolicy.model_validate(
            {
                "sub_policies": [
                    [_operation(trial, _name(sub, step)) for step in range(STEPS)]
                    for sub in range(SUB_POLICIES)
                ]
            }
        )
        contrast = NtXent() if self.encoder.objective == "history" else self.encoder.contrast
        update = {"objective": "views", "contrast": contrast, "augment": policy}
        return Choice(_changed(self.encoder, update), self.pairs)

    def start(self) -> dict[str, Any]:
        """The shop's policy, its sub-policies taken in turn; the default where it has more than is tried here."""
        known = self.encoder.augment if isinstance(self.encoder.augment, TextPolicy) else TextPolicy()
        fits = len(known.sub_policies) <= SUB_POLICIES and all(len(s) <= STEPS for s in known.sub_policies)
        subs = (known if fits else TextPolicy()).sub_policies
        told: dict[str, Any] = {}
        for sub in range(SUB_POLICIES):
            steps = subs[sub % len(subs)]
            for step in range(STEPS):
                name, given = _name(sub, step), steps[step] if step < len(steps) else None
                told[f"{name} operation"] = given.operation if given else OPERATIONS[0]
                told[f"{name} probability"] = given.probability if given else 0.0
                told[f"{name} strength"] = given.strength if given else 0.0
        return told


class TrainingSpace(Space):
    """Learning rate, temperature, batch, frozen layers, objective and the negatives' shares."""

    def choice(self, trial: BaseTrial) -> Choice:
        own = self.encoder
        update: dict[str, Any] = {
            "learning_rate": trial.suggest_float("learning_rate", *_with(RATES, own.learning_rate), log=True),
            "temperature": trial.suggest_float(
                "temperature", *_with(TEMPERATURES, own.temperature), log=True
            ),
            "batch_texts": trial.suggest_categorical("batch_texts", sorted({*BATCHES, own.batch_texts})),
            # One layer at least must learn.
            "frozen_layers": trial.suggest_int("frozen_layers", 0, self.layers - 1),
        }
        told = trial.suggest_categorical("objective", self._objectives())
        update |= self._objective(told)
        encoder = _changed(own, update)
        uses_negatives = encoder.objective == "pairs" and not isinstance(encoder.contrast, Moco | Byol)
        return Choice(encoder, self._negatives(trial) if uses_negatives else self.pairs)

    def start(self) -> dict[str, Any]:
        own = self.encoder
        told: dict[str, Any] = {
            "learning_rate": own.learning_rate,
            "temperature": own.temperature,
            "batch_texts": own.batch_texts,
            "frozen_layers": own.frozen_layers,
            "objective": _told(own),
        }
        return told | {f"negatives {kind}": getattr(self.pairs.negatives, kind) for kind in KINDS}

    def _objectives(self) -> list[str]:
        return list(dict.fromkeys(["history", *(f"pairs {name}" for name in CONTRASTS), _told(self.encoder)]))

    def _objective(self, told: str) -> dict[str, Any]:
        """The shop's own keeps all its settings; any other has its defaults."""
        if told == _told(self.encoder):
            return {}
        objective, _, contrast = told.partition(" ")
        fields = {"objective": objective, "augment": {"sub_policies": TextPolicy().sub_policies}}
        return {**fields, "contrast": {"objective": contrast or "info_nce"}}

    def _negatives(self, trial: BaseTrial) -> PairSettings:
        parts = {kind: trial.suggest_float(f"negatives {kind}", 0.0, 1.0) for kind in KINDS}
        total = sum(parts.values())
        shares = {kind: part / total for kind, part in parts.items()} if total else {"popular": 1.0}
        return self.pairs.model_copy(update={"negatives": NegativeShares(**shares)})


SPACES: dict[str, type[Space]] = {"augment": AugmentSpace, "training": TrainingSpace}


def _operation(trial: BaseTrial, name: str) -> dict[str, Any]:
    return {
        "operation": trial.suggest_categorical(f"{name} operation", OPERATIONS),
        # Two digits: a policy is read by people.
        "probability": round(trial.suggest_float(f"{name} probability", 0.0, 1.0), 2),
        "strength": round(trial.suggest_float(f"{name} strength", 0.0, 1.0), 2),
    }


def _name(sub: int, step: int) -> str:
    return f"{sub + 1}.{step + 1}"


def _told(encoder: EncoderSettings) -> str:
    """An objective as one word or two."""
    return (
        "history" if encoder.objective == "history" else f"{encoder.objective} {encoder.contrast.objective}"
    )


def _changed(encoder: EncoderSettings, update: dict[str, Any]) -> EncoderSettings:
    """As ``model_copy``, checked."""
    return EncoderSettings(**{**dict(encoder), **update})


def _with(bounds: tuple[float, float], own: float) -> tuple[float, float]:
    """The range, as wide as the shop's own value needs it."""
    return min(bounds[0], own), max(bounds[1], own)
