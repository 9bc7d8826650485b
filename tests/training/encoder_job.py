"""A job folder of the small text shop, as a step would write it."""

from pathlib import Path

import polars as pl

from recsys_tasks.model.arrays import Floats
from recsys_tasks.settings import EncoderSettings
from recsys_tasks.training import job_folder
from recsys_tasks.training.encoder_data import encoder_data, held_out, known_texts
from tests.training import text_shop
from tests.training.text_shop import CUT, WEIGHTS


def settings_of(base: Path, **changes: object) -> EncoderSettings:
    sizes = {
        "steps": 30,
        "batch_texts": 16,
        "sampled_negatives": 16,
        "projection_steps": 5,
        "frozen_layers": 1,
        "trackers": [],
    }
    return EncoderSettings(**{"base": str(base), "max_tokens": 16, "learning_rate": 1e-3, **sizes, **changes})


def job(
    folder: Path,
    base: Path,
    start_vectors: Floats | None = None,
    places: job_folder.Places | None = None,
    **changes: object,
) -> tuple[Path, pl.Series]:
    """The folder, and the texts whose vectors will come back; ``changes`` go into the encoder's settings."""
    settings = settings_of(base, **changes)
    source = text_shop.source(with_pairs=settings.objective == "pairs")
    texts = known_texts(source.events, CUT, WEIGHTS)
    data = encoder_data(
        source, texts, held_out(texts, 0.2, 1), cut=CUT, weights=WEIGHTS, examples=100, seed=1
    )
    job_folder.write_job(folder, base, settings, 1, texts, data, start_vectors, places=places)
    return folder, texts
