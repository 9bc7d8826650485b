"""A small night up to its pairs, with a tiny encoder to tune."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from recsys_tasks.calendar import Night
from recsys_tasks.evaluate.encoder_gate import Slice, Verdict
from recsys_tasks.settings import EncoderSettings, ItemSourceSettings, RankerSettings
from recsys_tasks.steps import build_pairs, finetune_encoder
from recsys_tasks.steps.encoder_files import MODEL, REFUSED
from tests.pairs.night import ShopSettings, SmallJob, small_job
from tests.tiny_encoder import tiny_encoder

HIGHER, SAME = Slice(0.1, 0.2, 0.1, 0.05, 0.15, 10), Slice(0.1, 0.1, 0.0, 0.0, 0.0, 10)


@dataclass(frozen=True)
class Sources:
    items: ItemSourceSettings = field(
        default_factory=lambda: ItemSourceSettings(
            kind="csv", path="items.csv", columns={"item_id": "sku"}, text="{name}. {maker}"
        )
    )


@dataclass(frozen=True)
class EncoderShop(ShopSettings):
    sources: Sources = field(default_factory=Sources)
    encoder: EncoderSettings = field(default_factory=EncoderSettings)


@dataclass(frozen=True)
class EncoderJob(SmallJob):
    settings: EncoderShop = field(default_factory=EncoderShop)


def encoder_job(folder: Path, **changes: object) -> EncoderJob:
    """A job on an encoder night whose pairs are made; ``changes`` go into the encoder's settings."""
    small = small_job(folder / "shop")
    base = tiny_encoder(folder / "tiny")
    sizes = {
        "steps": 3,
        "projection_steps": 2,
        "batch_texts": 8,
        "sampled_negatives": 8,
        "frozen_layers": 1,
    }
    encoder = EncoderSettings(
        **{
            "base": str(base),
            "max_tokens": 16,
            "every_nights": 1,
            "cold_share": 0.2,
            "trackers": [],
            **sizes,
            **changes,
        }
    )
    # Its days are among those that the encoder gate asks about: the gate alone decides where training ends.
    ranker = RankerSettings(days=14, label_days=7, enough_taken=1)
    job = EncoderJob(small.workspace, small.lake, EncoderShop(encoder=encoder, ranker=ranker))
    build_pairs.run(job)
    return job


def later(job: EncoderJob, days: int, **changes: object) -> EncoderJob:
    """The job of a later night over the same shop, its pairs made."""
    encoder = job.settings.encoder.model_copy(update=changes)
    night: Night = job.night.shift(days)
    following = replace(job, night=night, settings=replace(job.settings, encoder=encoder))
    build_pairs.run(following)
    return following


def decide(monkeypatch: pytest.MonkeyPatch, *, kept: bool) -> None:
    """From now on the encoder gate says this, whatever was trained."""
    verdict = Verdict(kept, "as the test wants it", HIGHER if kept else SAME, SAME)
    monkeypatch.setattr(finetune_encoder.encoder_gate, "judge", lambda *_args, **_kwargs: verdict)


def folder_of(job: EncoderJob, facts: dict[str, Any]) -> Path:
    """The folder of the encoder that a run made or used."""
    return job.workspace.at(facts["artefact"]).path


def tuned_weights(job: EncoderJob) -> bytes:
    """What training made, whether it was kept or put aside."""
    folder = folder_of(job, finetune_encoder.run(job))
    refused = folder / REFUSED
    return ((refused if refused.is_dir() else folder / MODEL) / "model.safetensors").read_bytes()
