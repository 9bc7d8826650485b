"""Raw text vectors that outlive a night: those of the base, from the caches of all encoders."""

import logging
from pathlib import Path

import polars as pl

from recsys_tasks.model.arrays import Floats
from recsys_tasks.model.encoder import TextEncoder
from recsys_tasks.model.progress import progress_lines
from recsys_tasks.model.vector_cache import VectorCache, encode_cached
from recsys_tasks.steps.job import Job

log = logging.getLogger(__name__)


def caches(job: Job) -> Path:
    """The folder of the vector caches of all encoders."""
    return job.workspace.home / "cache" / "vectors"


def base_vectors(job: Job, base: Path, texts: pl.Series) -> Floats:
    """The base's raw vectors, from the cache where known."""
    settings = job.settings.encoder
    cache = VectorCache.of(caches(job), base, settings.max_tokens, settings.pooling)
    encoder = TextEncoder.load(base, settings.max_tokens, pooling=settings.pooling)
    return encode_cached(encoder, cache, texts.to_list(), progress_lines(log, "texts encoded"))[0]
