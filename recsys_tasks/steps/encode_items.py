"""The whitened text vector of every item of the night's catalogue, and its two sides where the encoder has them."""

import logging
from functools import partial

import numpy as np
import polars as pl

from recsys_tasks.errors import EmptyPartition
from recsys_tasks.model.arrays import Floats
from recsys_tasks.model.encoder import TextEncoder
from recsys_tasks.model.progress import progress_lines
from recsys_tasks.model.similarity import Sides
from recsys_tasks.model.vector_cache import VectorCache, encode_cached
from recsys_tasks.model.vectors import TextVectors
from recsys_tasks.model.whiten import Whitening
from recsys_tasks.steps.encoder_files import JUDGED_BY, MODEL, SIDES, SIMILARITY, WHITENING
from recsys_tasks.steps.encoder_vectors import caches, sides_by
from recsys_tasks.steps.finetune_encoder import encoder_for
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.rooms import COMMON
from recsys_tasks.workspace import Artefact, Facts

log = logging.getLogger(__name__)

ROOMS = (
    *COMMON,
    "model/encoder",
    "model/linear",
    "model/pooling",
    "model/similarity",
    "model/vector_cache",
    "model/vectors",
    "model/whiten",
    "steps/encode_items",
    "steps/encoder_files",
    "steps/encoder_vectors",
)


def run(job: Job) -> Facts:
    encoder = encoder_for(job)
    with job.workspace.artefact(
        "vectors",
        job.night,
        inputs={"encoder": encoder.ref, "items": job.lake.state(job.night)["items"]},
        settings={},
        rooms=ROOMS,
        recorded={**job.lake.versions(), "train_until": encoder.manifest["recorded"].get("train_until")},
    ) as draft:
        facts: Facts = {}
        if draft.is_new:
            items = job.lake.snapshot(job.night.as_of).items
            vectors, encoded = _vectors(job, encoder, items)
            vectors.save(draft.path)
            draft.metrics.update(items=len(items), texts=len(vectors.texts), encoder=encoder.ref)
            facts.update(encoded=encoded, cached=len(vectors.texts) - encoded)
    made = job.workspace.at(draft.artefact.ref)
    return {"artefact": made.ref, "reused": not draft.is_new, **made.metrics, **facts}


def vectors_for(job: Job, encoder: Artefact, items: pl.DataFrame) -> TextVectors:
    """The whitened vectors of items (Catalogue contract) under any encoder artefact; known texts from the cache."""
    return _vectors(job, encoder, items)[0]


def _vectors(job: Job, encoder: Artefact, items: pl.DataFrame) -> tuple[TextVectors, int]:
    """The vectors, and how many texts had to be encoded."""
    if items.is_empty():
        raise EmptyPartition(f"night {job.night}: the catalogue is empty, there is nothing to encode")
    ordered = items.sort("item_id")
    texts = ordered["text"].unique().sort()
    made_with = encoder.manifest["settings"]
    # An encoder from before there was a choice pools as its family does.
    max_tokens, pooling = made_with["max_tokens"], made_with.get("pooling", "auto")
    cache = VectorCache.of(caches(job), encoder.path / MODEL, max_tokens, pooling)
    load = partial(TextEncoder.load, encoder.path / MODEL, max_tokens, pooling=pooling)
    raw, encoded = encode_cached(load, cache, texts.to_list(), progress_lines(log, "texts encoded"))
    log.info(
        "%d items have %d texts: %d encoded, %d known", len(items), len(texts), encoded, len(texts) - encoded
    )
    whitened = Whitening.load(encoder.path / WHITENING).apply(raw)
    sides = _judged_sides(encoder, raw)
    return TextVectors(ordered["item_id"], whitened, _rows(ordered["text"], texts), sides), encoded


def _judged_sides(encoder: Artefact, raw: Floats) -> Sides | None:
    """
    The centred sides, where they are what the encoder gate judged.

    An encoder from before they had a part holds the file too, but passed by the cosine, which its ranker reads.
    """
    if encoder.metrics.get(JUDGED_BY) != SIDES:
        return None
    sides = sides_by(encoder.path / SIMILARITY, raw)
    return None if sides is None else sides.centred()


def _rows(texts: pl.Series, distinct: pl.Series) -> np.ndarray:
    return texts.cast(pl.Enum(distinct)).to_physical().cast(pl.Int64).to_numpy()
