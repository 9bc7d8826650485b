"""Text vectors of encoders: the base's, from the caches, and those of a training as a night would use them."""

import logging
from functools import partial
from pathlib import Path

import polars as pl

from recsys_tasks.model.arrays import Floats
from recsys_tasks.model.encoder import TextEncoder
from recsys_tasks.model.progress import progress_lines
from recsys_tasks.model.similarity import Sides, TextSimilarity
from recsys_tasks.model.vector_cache import VectorCache, encode_cached
from recsys_tasks.model.whiten import Whitening
from recsys_tasks.steps.job import Job
from recsys_tasks.training import job_folder

log = logging.getLogger(__name__)


def caches(job: Job) -> Path:
    """The folder of the vector caches of all encoders."""
    return job.workspace.home / "cache" / "vectors"


def base_vectors(job: Job, base: Path, texts: pl.Series) -> Floats:
    """The base's raw vectors, from the cache where known."""
    settings = job.settings.encoder
    cache = VectorCache.of(caches(job), base, settings.max_tokens, settings.pooling)
    load = partial(TextEncoder.load, base, settings.max_tokens, pooling=settings.pooling)
    return encode_cached(load, cache, texts.to_list(), progress_lines(log, "texts encoded"))[0]


def sides_by(similarity: Path, raw: Floats) -> Sides | None:
    """Raw vectors as the file ``similarity`` compares them; none where there is none: by the whitened cosine."""
    return TextSimilarity.load(similarity).sides(raw) if similarity.is_file() else None


def as_used(folder: Path) -> Floats | Sides:
    """The tuned vectors in a training's folder as a night would compare them."""
    raw = job_folder.read_vectors(folder)
    sides = sides_by(folder / job_folder.SIMILARITY, raw)
    return Whitening.load(folder / job_folder.PROJECTION).apply(raw) if sides is None else sides
