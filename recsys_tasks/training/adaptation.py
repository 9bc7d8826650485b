"""
The encoder's first training, on the language of the catalogue: masked tokens of the texts that may be learned from.

It changes every layer, so it lies before anything that is computed once. Its result is a model of its own in the job's
folder, which goes with the artefact's draft: where the night fails, a retry adapts the base anew, with the same result.
Texts held out for the encoder gate are never shown to it, and tell how much it learned.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from recsys_tasks.model.arrays import Positions
from recsys_tasks.model.encoder import TextEncoder
from recsys_tasks.settings.backbone import AdaptSettings
from recsys_tasks.training.batch_names import named_texts
from recsys_tasks.training.encoder_data import Bools
from recsys_tasks.training.masked_tokens import MaskedTokens, head_of
from recsys_tasks.training.minimise import Care, minimise
from recsys_tasks.training.processes import Processes

log = logging.getLogger("finetune")

MODEL = "adapted"
REPORT = "adaptation.json"
# Held-out texts that the losses are measured on.
MEASURED_TEXTS = 2000


@dataclass(frozen=True)
class Adaptation:
    """
    How it went: the loss (nats a hidden token) of held-out texts before and after, none where no text is held out.

    ``head_found``: the base brought its masked-token head along; else ``loss_before`` is that of a random one.
    """

    steps: int
    texts: int
    loss_before: float | None
    loss_after: float | None
    head_found: bool


def adapted(
    folder: Path,
    base: Path,
    texts: Sequence[str],
    held_out: Bools,
    settings: AdaptSettings,
    max_tokens: int,
    processes: Processes,
    seed: int,
) -> Path:
    """The folder of the adapted ``base``, inside ``folder``: made by all processes together."""
    made = folder / MODEL
    encoder = TextEncoder.load(base, max_tokens, processes.device)
    report = adapt(encoder, base, texts, held_out, settings, processes, seed)
    if processes.rank == 0:
        encoder.save(made)
        (folder / REPORT).write_text(json.dumps(asdict(report)), encoding="utf-8")
    processes.wait()
    return made


def adapt(
    encoder: TextEncoder,
    base: Path,
    texts: Sequence[str],
    held_out: Bools,
    settings: AdaptSettings,
    processes: Processes,
    seed: int,
) -> Adaptation:
    """Train the encoder in place; each step's texts are drawn among those that may be learned from."""
    head, found = head_of(base, encoder.model)
    masked = MaskedTokens(encoder, head, list(texts), settings.mask_share, seed)
    free, measured = np.flatnonzero(~held_out), np.flatnonzero(held_out)[:MEASURED_TEXTS]
    before = masked.loss_of(measured)
    log.info(
        "%d masked-token steps on %d texts (%s head)",
        settings.steps,
        len(free),
        "the base's" if found else "a fresh",
    )

    def drawn(step: int) -> Positions:
        generator = np.random.default_rng([seed, step])
        return generator.choice(free, size=min(settings.batch_texts, len(free)), replace=False)

    def loss(step: int) -> Tensor:
        surprise, hidden = processes.share(drawn(step), lambda own: masked.losses(own, step)).sum(dim=0)
        mean: Tensor = surprise / hidden.clamp(min=1.0)
        return mean

    groups = [{"params": masked.parameters(), "lr": settings.learning_rate, "weight_decay": 0.01}]
    care = Care(
        batch_of=lambda step: named_texts(texts, drawn(step)), advice="Lower encoder.adapt.learning_rate"
    )
    minimise(loss, groups, settings.steps, processes, care=care)
    after = masked.loss_of(measured)
    log.info("masked-token loss of held-out texts: %s before, %s after", _told(before), _told(after))
    return Adaptation(settings.steps, len(free), _rounded(before), _rounded(after), found)


def read_adaptation(folder: Path) -> Adaptation | None:
    """What was reported into a job's folder; none where nothing was adapted."""
    report = folder / REPORT
    return Adaptation(**json.loads(report.read_text(encoding="utf-8"))) if report.is_file() else None


def _rounded(loss: float | None) -> float | None:
    return None if loss is None else round(loss, 5)


def _told(loss: float | None) -> str:
    return "unknown" if loss is None else f"{loss:.4f}"
