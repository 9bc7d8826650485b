"""
The product's rows: its own functions on its own artefacts, as a night calls them.

``ours`` is the night's model and its final lists (candidates, ranker, rules, ladder). The others take parts away.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from benchmarks.plain_rows import PopularityModel, TextModel
from recsys_tasks.errors import MissingArtefact
from recsys_tasks.model.encoder import TextEncoder, base_folder
from recsys_tasks.model.vector_cache import VectorCache, encode_cached
from recsys_tasks.model.vectors import TextVectors
from recsys_tasks.model.whiten import Whitening
from recsys_tasks.recommend.model import Model, PopularModel, RepeatModel
from recsys_tasks.recommend.night_model import NightModel
from recsys_tasks.steps.encoder_vectors import caches
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.serving import serving_model

Refs = Mapping[str, str]


@dataclass(frozen=True)
class OwnRow:
    """How to make a row's model from the night's artefacts; ``steps_left_out`` of the night it does not need."""

    make: Callable[[Job, Refs], Model]
    steps_left_out: tuple[str, ...] = ()
    needs_night: bool = True


def ours(job: Job, refs: Refs) -> Model:
    """The night's own model; PopularModel where the shop is too young for one, as the night then serves."""
    fitted = job.workspace.at(refs["towers"]).metrics["fitted"]
    return serving_model(job, refs, refs.get("refit")) if fitted else PopularModel()


def tower(job: Job, refs: Refs) -> Model:
    """The towers alone: the ranker is left out, their score orders."""
    model = ours(job, refs)
    return replace(model, ranker=None) if isinstance(model, NightModel) else model


def text(job: Job, refs: Refs) -> Model:
    """The night's text vectors alone."""
    return TextModel("ours-text", TextVectors.load(job.workspace.at(refs["vectors"]).path))


def frozen(job: Job, refs: Refs) -> Model:
    """The encoder as it was downloaded: mean-pooled unit vectors, neither tuned nor whitened."""
    return TextModel("frozen-encoder", frozen_vectors(job, whitened=False))


def frozen_whitened(job: Job, refs: Refs) -> Model:
    """The same, whitened on the catalogue's texts."""
    return TextModel("frozen-whitened", frozen_vectors(job, whitened=True))


def frozen_vectors(job: Job, *, whitened: bool) -> TextVectors:
    """The base encoder's vectors of the night's catalogue; known texts come from the home's cache."""
    settings = job.settings.encoder
    base = base_folder(settings.base)
    items = job.lake.catalogue(job.night.as_of).sort("item_id")
    texts = items["text"].unique().sort()
    load = partial(TextEncoder.load, base, settings.max_tokens, pooling=settings.pooling)
    cache = VectorCache.of(caches(job), base, settings.max_tokens, settings.pooling)
    vectors, _ = encode_cached(load, cache, texts.to_list())
    if whitened:
        vectors = Whitening.fit(vectors).apply(vectors)
    rows = texts.to_frame("text").with_row_index("row")
    text_rows = (
        items.join(rows, on="text", how="left", maintain_order="left")["row"].to_numpy().astype("int64")
    )
    return TextVectors(items["item_id"], vectors, text_rows)


BEHIND_TEXT = ("train_towers", "train_ranker", "build_index", "refit_towers")

OWN_ROWS: dict[str, OwnRow] = {
    "ours": OwnRow(ours),
    "ours-tower": OwnRow(tower, ("train_ranker",)),
    "ours-text": OwnRow(text, BEHIND_TEXT),
    "frozen-encoder": OwnRow(frozen, needs_night=False),
    "frozen-whitened": OwnRow(frozen_whitened, needs_night=False),
    "popularity": OwnRow(lambda job, refs: PopularityModel("popularity", None), needs_night=False),
    "popularity-7": OwnRow(lambda job, refs: PopularityModel("popularity-7", 7), needs_night=False),
    "popularity-28": OwnRow(lambda job, refs: PopularityModel("popularity-28", 28), needs_night=False),
    "repeat": OwnRow(lambda job, refs: RepeatModel(), needs_night=False),
}


def steps_left_out(rows: Iterable[str]) -> frozenset[str]:
    """The steps of the night that none of the rows needs."""
    spared = [
        OWN_ROWS[name].steps_left_out for name in rows if name in OWN_ROWS and OWN_ROWS[name].needs_night
    ]
    return frozenset.intersection(*map(frozenset, spared)) if spared else frozenset()


def own_model(name: str, job: Job, refs: Refs | None) -> Model:
    """The model of a row; raises MissingArtefact where it needs a night that was not fitted."""
    row = OWN_ROWS[name]
    if row.needs_night and refs is None:
        raise MissingArtefact(f"the row {name} needs the night's model: fit the night first")
    return row.make(job, refs or {})
