"""How accepted towers are taken on to the night's end, with an index over them."""

import logging

import polars as pl

from recsys_tasks.errors import LeakFound, MissingArtefact
from recsys_tasks.lake.snapshot import Snapshot
from recsys_tasks.model.towers import TowerModel
from recsys_tasks.model.vectors import TextVectors
from recsys_tasks.pairs.coding import code_log
from recsys_tasks.pairs.examples import named_examples
from recsys_tasks.recommend.night_model import NightModel
from recsys_tasks.steps.build_index import checked_index
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.refit_audit import leaks
from recsys_tasks.steps.rooms import LIST_ROOMS, TOWER_ROOMS
from recsys_tasks.steps.serving import INDEX
from recsys_tasks.steps.train_towers import encoder_of, figures
from recsys_tasks.training.towers import FitResult, fit_towers
from recsys_tasks.workspace import Artefact, Draft, Facts

log = logging.getLogger(__name__)

ROOMS = (*TOWER_ROOMS, *LIST_ROOMS, "pairs", "steps/build_index", "steps/refit")


def refitted(job: Job, towers: Artefact) -> Facts:
    """
    The refit of tonight's ``towers``, made or found.

    Raises MissingArtefact where they were fitted with other settings than tonight's, LeakFound where an example knows
    what happened behind the night.
    """
    _require_own_settings(job, towers)
    settings = job.settings
    vectors = job.workspace.at(towers.manifest["inputs"]["vectors"])
    with job.workspace.artefact(
        "refit",
        job.night,
        inputs={"towers": towers.ref, "vectors": vectors.ref, "lake": job.lake.state(job.night)},
        settings={
            "towers": settings.towers.model_dump(mode="json"),
            "pairs": settings.pairs.model_dump(mode="json"),
            "rules": settings.rules.model_dump(mode="json"),
            "event_weights": settings.event_weights,
            "target_events": settings.target_events,
            "time_zone": settings.time_zone,
        },
        rooms=ROOMS,
        seed=settings.seed,
        recorded={
            **job.lake.read_by(job.night),
            "encoder": encoder_of(vectors),
            "train_until": job.night.as_of.isoformat(),
        },
    ) as draft:
        if draft.is_new:
            _make(job, draft, towers, TextVectors.load(vectors.path))
        facts = draft.metrics if draft.is_new else draft.artefact.metrics
    return {"artefact": draft.artefact.ref, "reused": not draft.is_new, **facts}


def _require_own_settings(job: Job, towers: Artefact) -> None:
    """What was accepted is one way to learn; another way has to pass the gate first."""
    asked = {**job.settings.towers.as_fitted(), "event_weights": job.settings.event_weights}
    fitted = towers.manifest["settings"]
    changed = sorted(name for name in {**asked, **fitted} if asked.get(name) != fitted.get(name))
    if changed:
        raise MissingArtefact(
            f"{towers.ref} was fitted with other settings ({', '.join(changed)}): run train_towers again"
        )


def _make(job: Job, draft: Draft, towers: Artefact, text: TextVectors) -> None:
    snapshot = job.lake.snapshot(job.night.as_of)
    result = _fit(job, snapshot, _examples(job, snapshot), text, TowerModel.load(towers.path))
    result.model.save(draft.path)
    model = NightModel(draft.artefact.ref, result.model, text, None, job.settings.ranker)
    index, recall = checked_index(job, model)
    index.save(draft.path / INDEX)
    draft.metrics.update(figures(result), fitted=True, recall_vs_exact=recall)


def _examples(job: Job, snapshot: Snapshot) -> pl.DataFrame:
    """As ``build_pairs`` makes them, but up to the night's end."""
    settings, as_of = job.settings, job.night.as_of
    coded = code_log(snapshot.events, settings.event_weights, as_of)
    examples = named_examples(
        coded, settings.pairs, as_of, target_events=settings.target_events, zone=settings.zone
    )
    found = leaks(snapshot, coded, examples, as_of)
    if found:
        raise LeakFound(
            "\n".join([f"night {job.night}: the refit would learn from the future:", *map(str, found)])
        )
    return examples


def _fit(
    job: Job, snapshot: Snapshot, examples: pl.DataFrame, text: TextVectors, warm: TowerModel
) -> FitResult:
    settings = job.settings
    return fit_towers(
        snapshot,
        examples,
        text,
        settings.towers,
        settings.event_weights,
        job.night.as_of,
        settings.seed,
        warm,
        settings.towers.refit_epochs,
    )
