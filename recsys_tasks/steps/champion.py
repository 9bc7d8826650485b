"""The two models a night knows: tonight's challenger, and the champion it must not be worse than."""

import logging
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from recsys_tasks.errors import MissingArtefact
from recsys_tasks.index.index import ItemIndex
from recsys_tasks.lake.snapshot import Snapshot
from recsys_tasks.model.towers import TowerModel
from recsys_tasks.model.vectors import TextVectors
from recsys_tasks.recommend.context import Context
from recsys_tasks.recommend.features import NAMES
from recsys_tasks.recommend.model import Model, PopularModel
from recsys_tasks.recommend.night_model import NightModel
from recsys_tasks.recommend.ranker import Ranker
from recsys_tasks.recommend.recommend import Recommender
from recsys_tasks.steps.encode_items import vectors_for
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.lineage import goes_on
from recsys_tasks.workspace import Artefact

log = logging.getLogger(__name__)

# The code that turns a model into lists: part of the fingerprint of everything made of lists.
LIST_ROOMS = ("recommend", "index", "model", "schema")


@dataclass(frozen=True)
class Champion:
    """``refs`` name its artefacts; ``is_popular`` where popularity of 7 days is the champion, and ``why``."""

    job: Job
    refs: dict[str, Any]
    is_popular: bool
    why: str

    @property
    def ref(self) -> str:
        """What the model is called, as ``model.ref``."""
        return str(self.refs["model" if self.is_popular else "towers"])

    @cached_property
    def model(self) -> Model:
        """Loaded when it is asked for: a decision needs only the refs."""
        if self.is_popular:
            return PopularModel()
        encoder = self.job.workspace.at(self.refs["encoder"])
        return _night_model(self.job, self.refs, _vectors_of(self.job, encoder))


def challenger_refs(job: Job) -> dict[str, str]:
    """The artefacts of tonight's model. Raises MissingArtefact where a step has not run."""
    found = {name: job.workspace.need(name, job.night) for name in ("towers", "vectors", "index")}
    refs = {name: artefact.ref for name, artefact in found.items()}
    return {
        **refs,
        "ranker": ranker_of(job).ref,
        "encoder": str(found["vectors"].manifest["inputs"]["encoder"]),
    }


def challenger(job: Job) -> NightModel:
    """Tonight's model, with tonight's index."""
    refs = challenger_refs(job)
    vectors = TextVectors.load(job.workspace.at(refs["vectors"]).path)
    model = _night_model(job, refs, vectors)
    index = ItemIndex.load(job.workspace.at(refs["index"]).path)
    return NightModel(
        model.ref, model.towers, vectors, model.ranker, model.settings, index, index_as_of=job.night.as_of
    )


def champion(job: Job) -> Champion:
    """The newest accepted model of an earlier night; popularity of 7 days where there is none (any more)."""
    decision = job.store.champion_before(job.night)
    if decision is None:
        return _popular(job, "no earlier night's model was accepted yet")
    refs = dict(decision.refs)
    try:
        _require_usable(job, refs)
    except MissingArtefact as gone:
        log.warning("the champion of night %s cannot be used: %s", decision.night, gone)
        return _popular(job, f"the accepted model of night {decision.night} cannot be used: {gone}")
    return Champion(job, refs, False, f"accepted on night {decision.night}")


def _require_usable(job: Job, refs: dict[str, Any]) -> None:
    """Raises MissingArtefact where a part is gone, or where the ranker reads other features than this version has."""
    for name in ("encoder", "towers", "ranker"):
        if name not in refs:
            raise MissingArtefact(f"its record names no {name}")
        job.workspace.at(refs[name])
    if not _reads_these_features(job.workspace.at(refs["ranker"])):
        raise MissingArtefact("its ranker reads other features than this version has")


def _reads_these_features(ranker: Artefact) -> bool:
    return not ranker.metrics["fitted"] or ranker.metrics["features"] == list(NAMES)


def ranker_of(job: Job) -> Artefact:
    """The ranker this night uses: the standing one on nights that fit none, else its own."""
    found = earlier_ranker(job) or job.workspace.find("ranker", job.night)
    if found is None:
        raise MissingArtefact(f"night {job.night} has no ranker yet: run train_ranker first")
    return found


def earlier_ranker(job: Job) -> Artefact | None:
    """The ranker that goes on, unless it reads another encoder's vectors or other features than tonight's."""
    found = goes_on(job, "ranker", job.settings.ranker.every_nights)
    if found is None:
        return None
    encoder = job.workspace.need("vectors", job.night).manifest["inputs"]["encoder"]
    metrics = found.metrics
    fits = metrics.get("encoder") == encoder and metrics.get("features") == list(NAMES)
    return found if fits else None


def recommender(job: Job, model: Model, snapshot: Snapshot) -> Recommender:
    """A model looking at a snapshot under the shop's rules: what every list of a night comes from."""
    settings = job.settings
    context = Context.open(snapshot, settings.rules, settings.event_weights, settings.target_events)
    return Recommender(model, context)


def _popular(job: Job, why: str) -> Champion:
    return Champion(job, {"model": PopularModel().ref}, True, why)


def _night_model(job: Job, refs: dict[str, Any], vectors: TextVectors) -> NightModel:
    ranker = job.workspace.at(refs["ranker"])
    return NightModel(
        ref=refs["towers"],
        towers=TowerModel.load(job.workspace.at(refs["towers"]).path),
        vectors=vectors,
        ranker=Ranker.load(ranker.path) if ranker.metrics["fitted"] else None,
        settings=job.settings.ranker,
    )


def _vectors_of(job: Job, encoder: Artefact) -> TextVectors:
    """Tonight's catalogue under the champion's own encoder."""
    tonight = job.workspace.find("vectors", job.night)
    if tonight is not None and tonight.manifest["inputs"]["encoder"] == encoder.ref:
        return TextVectors.load(tonight.path)
    items: pl.DataFrame = job.lake.catalogue(job.night.as_of)
    return vectors_for(job, encoder, items)
