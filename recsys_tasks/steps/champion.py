"""The two models a night knows: tonight's challenger, and the champion it must not be worse than."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import polars as pl

from recsys_tasks.errors import MissingArtefact
from recsys_tasks.index.index import ItemIndex
from recsys_tasks.lake.snapshot import Snapshot
from recsys_tasks.model.towers import TowerModel
from recsys_tasks.model.vectors import TextVectors
from recsys_tasks.recommend.context import Context
from recsys_tasks.recommend.model import Model, PopularModel
from recsys_tasks.recommend.night_model import NightModel
from recsys_tasks.recommend.ranker import Ranker
from recsys_tasks.recommend.scorer import scorer_in
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.lineage import is_blind
from recsys_tasks.steps.standing_ranker import CLASSIFIER, ranker_of
from recsys_tasks.workspace import Artefact

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Champion:
    """
    ``refs`` name its artefacts; ``is_popular`` where popularity of 7 days is the champion, and ``why``.

    ``is_blind``: no part of it has seen tonight's window. One that has may make lists, but is not compared.
    """

    refs: dict[str, Any]
    is_popular: bool
    why: str
    is_blind: bool = True

    @property
    def ref(self) -> str:
        """What the model is called, as ``model.ref``."""
        return str(self.refs["model" if self.is_popular else "towers"])


def challenger_refs(job: Job) -> dict[str, str]:
    """
    The artefacts of tonight's model, each made from the others.

    Raises MissingArtefact where a step has not run, or has not run again since an earlier one did.
    """
    towers, index = (job.workspace.need(name, job.night) for name in ("towers", "index"))
    if index.manifest["inputs"]["towers"] != towers.ref:
        raise MissingArtefact(
            f"the index of night {job.night} holds other towers' items: run build_index again"
        )
    vectors = job.workspace.at(towers.manifest["inputs"]["vectors"])
    encoder = str(vectors.manifest["inputs"]["encoder"])
    return {
        "towers": towers.ref,
        "vectors": vectors.ref,
        "index": index.ref,
        "ranker": ranker_of(job, encoder).ref,
        "encoder": encoder,
    }


def champion(job: Job) -> Champion:
    """The newest accepted model of an earlier night; popularity of 7 days where there is none (any more)."""
    accepted = job.accepted
    if accepted is None:
        return _popular("no earlier night's model was accepted yet")
    refs = dict(accepted.refs)
    try:
        parts = _usable_parts(job, refs)
    except MissingArtefact as gone:
        log.warning("the champion of night %s cannot be used: %s", accepted.night, gone)
        return _popular(f"the accepted model of night {accepted.night} cannot be used: {gone}")
    why = f"accepted on night {accepted.night}"
    if all(is_blind(job, part) for part in parts):
        return Champion(refs, False, why)
    return Champion(
        refs, False, f"{why}; it was fitted on days of tonight's window (gate.days)", is_blind=False
    )


def model_of(job: Job, refs: Mapping[str, Any]) -> Model:
    """
    The model of these artefacts: as ``challenger_refs`` or a decision of the store names them.

    A model of an earlier night sees tonight's catalogue by its own encoder; where the refs name no ranker, the towers'
    score orders. Raises MissingArtefact where a part is gone.
    """
    if is_popular(refs):
        return PopularModel()
    towers = job.workspace.at(refs["towers"])
    ranker = job.workspace.at(refs["ranker"]) if "ranker" in refs else None
    own = str(job.night) == towers.night
    index = job.workspace.at(refs["index"]) if own and "index" in refs else None
    return NightModel(
        ref=refs["towers"],
        towers=TowerModel.load(towers.path),
        vectors=_own_vectors(job, towers) if own else _vectors_of(job, job.workspace.at(refs["encoder"])),
        ranker=Ranker.load(ranker.path) if ranker is not None and ranker.metrics["fitted"] else None,
        settings=job.settings.ranker,
        index=None if index is None else ItemIndex.load(index.path),
        index_as_of=None if index is None else job.night.as_of,
        scorer=None if ranker is None else scorer_in(ranker.path / CLASSIFIER),
    )


def is_popular(refs: Mapping[str, Any]) -> bool:
    """Whether refs name no model but the popularity of 7 days."""
    return "towers" not in refs


def context_of(job: Job, snapshot: Snapshot) -> Context:
    """A snapshot under the shop's rules: what every list of a night comes from."""
    settings = job.settings
    return Context.open(snapshot, settings.rules, settings.event_weights, settings.target_events)


def _usable_parts(job: Job, refs: Mapping[str, Any]) -> list[Artefact]:
    """Raises MissingArtefact where a part is gone, or where this version reads towers or rankers of another kind."""
    missing = [name for name in ("encoder", "towers", "ranker") if name not in refs]
    if missing:
        raise MissingArtefact(f"its record names no {', '.join(missing)}")
    encoder, towers, ranker = (job.workspace.at(refs[name]) for name in ("encoder", "towers", "ranker"))
    TowerModel.facts_in(towers.path)
    if ranker.metrics["fitted"]:
        Ranker.facts_in(ranker.path)
    return [encoder, towers, ranker]


def _popular(why: str) -> Champion:
    return Champion({"model": PopularModel().ref}, True, why)


def _own_vectors(job: Job, towers: Artefact) -> TextVectors:
    """The vectors that towers of tonight were fitted with."""
    return _loaded(job.workspace.at(towers.manifest["inputs"]["vectors"]).path)


def _vectors_of(job: Job, encoder: Artefact) -> TextVectors:
    """Tonight's catalogue under the champion's own encoder."""
    tonight = job.workspace.find("vectors", job.night)
    if tonight is not None and tonight.manifest["inputs"]["encoder"] == encoder.ref:
        return _loaded(tonight.path)
    # Torch, which takes seconds to import, is needed on few nights: where the encoder has changed.
    from recsys_tasks.steps.encode_items import vectors_for

    items: pl.DataFrame = job.lake.catalogue(job.night.as_of)
    return vectors_for(job, encoder, items)


@lru_cache(maxsize=1)
def _loaded(folder: Path) -> TextVectors:
    """An artefact never changes, and models that read the same vectors share what follows from them alone."""
    return TextVectors.load(folder)
