"""Which earlier encoder a night goes on with, and which model its own training starts from."""

import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from recsys_tasks.model.encoder import base_folder, weights_hash
from recsys_tasks.steps.encoder_files import MODEL
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.lineage import goes_on, standing
from recsys_tasks.workspace import Artefact

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Start:
    """The model that a training starts from, and up to where that has learned from the log; None for the base."""

    model: Path
    seen_until: datetime | None = None

    @property
    def is_warm(self) -> bool:
        return self.seen_until is not None


def earlier_encoder(job: Job) -> Artefact | None:
    """The encoder that goes on, on nights that do not make their own."""
    return _if_alike(job, goes_on(job, "encoder", job.settings.encoder.every_nights))


def warm_start(job: Job) -> Artefact | None:
    """The standing encoder, if its tuning was kept and the operator does not start from scratch."""
    if job.options.start == "scratch" or not job.settings.encoder.enabled:
        return None
    cold = job.settings.encoder.cold_start_nights
    if cold is not None and job.night.is_every(cold):
        log.info("night %s starts from the base: encoder.cold_start_nights is %d", job.night, cold)
        return None
    earlier = _if_alike(job, standing(job, "encoder"))
    return earlier if earlier is not None and earlier.metrics["kept"] else None


def start_of(warm: Artefact | None, base: Path, cut: datetime) -> Start:
    """The base, where ``warm`` has seen days the gate asks about: it would pass by knowing them."""
    if warm is None:
        return Start(base)
    seen_until = datetime.fromisoformat(warm.metrics["trained_before"])
    if seen_until > cut:
        log.info("%s has seen days that tonight's gate asks about: training starts from the base", warm.ref)
        return Start(base)
    return Start(warm.path / MODEL, seen_until)


def _if_alike(job: Job, earlier: Artefact | None) -> Artefact | None:
    """
    An earlier encoder, if tonight's settings mean the same base and the same held-out texts.

    Trained on texts that tonight holds out, it would pass tonight's encoder gate by having seen the answers.
    """
    if earlier is None:
        return None
    made_by, settings = earlier.manifest, job.settings.encoder
    differs = {
        "base": made_by["inputs"]["base"] != weights_hash(base_folder(settings.base)),
        "cold_share": made_by["settings"]["cold_share"] != settings.cold_share,
        "max_tokens": made_by["settings"]["max_tokens"] != settings.max_tokens,
        "pooling": made_by["settings"].get("pooling", "auto") != settings.pooling,
        "seed": made_by["seed"] != job.settings.seed,
    }
    changed = [name for name, is_other in differs.items() if is_other]
    if changed:
        log.info("%s does not go on: it was made with another %s", earlier.ref, " and ".join(changed))
    return None if changed else earlier
