"""What may be tried of an encoder: policies of views of texts, or how it learns."""

from dataclasses import dataclass
from typing import Any, ClassVar

from optuna.trial import BaseTrial

from recsys_tasks.search.policies import TEXTS
from recsys_tasks.search.space import Space, changed
from recsys_tasks.settings import EncoderSettings, NegativeShares, PairSettings
from recsys_tasks.settings.augment import TextPolicy
from recsys_tasks.settings.contrast import Byol, ContrastSettings, Moco, NtXent, without_others

RATES, TEMPERATURES, BATCHES = (1e-6, 3e-4), (0.01, 0.5), (64, 128, 256)
CONTRASTS = ("info_nce", "nt_xent", "debiased", "hard_negatives", "moco", "byol")
# What TrainingSpace may change, by section of shop.yaml.
SEARCHED = {
    "encoder": (
        *("learning_rate", "temperature", "batch_texts", "frozen_layers"),
        *("objective", "logq", "popularity_in_logit", "contrast", "augment"),
    ),
    "pairs": ("negatives",),
}
# What only histories are learned with, as every other objective has to have it.
WITHOUT_HISTORIES = {"logq": 1.0, "popularity_in_logit": False}
KINDS = tuple(NegativeShares.model_fields)


@dataclass(frozen=True)
class Choice:
    """The settings of one trial."""

    encoder: EncoderSettings
    pairs: PairSettings


@dataclass(frozen=True)
class EncoderSpace(Space[Choice]):
    """``encoder`` and ``pairs`` are the shop's own."""

    encoder: EncoderSettings
    pairs: PairSettings
    layers: int
    """Of the encoder's base."""

    over: ClassVar[str] = "the whitened frozen encoder"
    axis: ClassVar[str] = "gain over the frozen encoder"


class AugmentSpace(EncoderSpace):
    """Policies of views, by the shop's objective or else by NT-Xent."""

    def choice(self, trial: BaseTrial) -> Choice:
        policy = TEXTS.asked(trial)
        update = {
            "objective": "views",
            **WITHOUT_HISTORIES,
            "contrast": self._contrast(),
            "augment": policy,
        }
        return Choice(changed(self.encoder, update), self.pairs)

    def start(self) -> dict[str, Any]:
        return TEXTS.start(self.encoder.augment)

    def _contrast(self) -> ContrastSettings:
        """The shop's own, where views can be learned by it."""
        own = self.encoder.contrast
        usable = self.encoder.objective != "history" and not without_others(own)
        return own if usable else NtXent()

    def as_file(self, choice: Choice) -> dict[str, Any]:
        """The policy alone."""
        policy: dict[str, Any] = choice.encoder.model_dump(mode="json")["augment"]
        return policy

    def beside(self) -> dict[str, Any]:
        return {"encoder": {"objective": "views", "contrast": {"objective": self._contrast().objective}}}


class TrainingSpace(EncoderSpace):
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
        encoder = changed(own, update)
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

    def as_file(self, choice: Choice) -> dict[str, Any]:
        """Everything that is searched: whole, so that it means the same over any shop.yaml."""
        sections = {"encoder": choice.encoder, "pairs": choice.pairs}
        dumped = {name: section.model_dump(mode="json") for name, section in sections.items()}
        return {
            section: {name: dumped[section][name] for name in names} for section, names in SEARCHED.items()
        }

    def _objectives(self) -> list[str]:
        return list(dict.fromkeys(["history", *(f"pairs {name}" for name in CONTRASTS), _told(self.encoder)]))

    def _objective(self, told: str) -> dict[str, Any]:
        """The shop's own keeps all its settings; any other has its defaults."""
        if told == _told(self.encoder):
            return {}
        objective, _, contrast = told.partition(" ")
        return {
            "objective": objective,
            **WITHOUT_HISTORIES,
            "augment": {"sub_policies": TextPolicy().sub_policies},
            "contrast": {"objective": contrast or "info_nce"},
        }

    def _negatives(self, trial: BaseTrial) -> PairSettings:
        parts = {kind: trial.suggest_float(f"negatives {kind}", 0.0, 1.0) for kind in KINDS}
        total = sum(parts.values())
        shares = {kind: part / total for kind, part in parts.items()} if total else {"popular": 1.0}
        return self.pairs.model_copy(update={"negatives": NegativeShares(**shares)})


def _told(encoder: EncoderSettings) -> str:
    """An objective as one word or two."""
    return (
        "history" if encoder.objective == "history" else f"{encoder.objective} {encoder.contrast.objective}"
    )


def _with(bounds: tuple[float, float], own: float) -> tuple[float, float]:
    """The range, as wide as the shop's own value needs it."""
    return min(bounds[0], own), max(bounds[1], own)
