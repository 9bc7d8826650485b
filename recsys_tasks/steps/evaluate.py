"""The honest window: challenger, champion and plain rules on days that no weight has seen."""

import json
from collections.abc import Mapping
from typing import Any

from recsys_tasks.evaluate.gate import CHALLENGER, CHAMPION, POPULAR, REPEAT
from recsys_tasks.files import write_whole
from recsys_tasks.recommend.model import Model, PopularModel, RepeatModel
from recsys_tasks.steps.champion import Champion, challenger_refs, champion, model_of
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.rooms import LIST_ROOMS
from recsys_tasks.steps.scoreboard import score_models
from recsys_tasks.workspace import Draft, Facts

ROOMS = (*LIST_ROOMS, "evaluate", "steps/evaluate", "steps/scoreboard")


def run(job: Job) -> Facts:
    """
    Make the artefact ``evaluation``: the table, and every shopper's scores in scores.parquet.

    The plain rules are always scored; the challenger where tonight's towers could be fitted (else ``fitted`` is false
    and ``why`` tells), the champion where it has not seen the window (else ``champion.compared`` is false).
    """
    rival = champion(job)
    refs = challenger_refs(job)
    with job.workspace.artefact(
        "evaluation",
        job.night,
        inputs={"challenger": refs, "champion": rival.refs, "lake": job.lake.state(job.night)},
        settings=list_settings(job) | {"gate": job.settings.gate.model_dump(mode="json")},
        rooms=ROOMS,
        seed=job.settings.seed,
        recorded=job.lake.versions(),
    ) as draft:
        if draft.is_new:
            _score(job, refs, rival, draft)
        facts = draft.metrics if draft.is_new else draft.artefact.metrics
    return {"artefact": draft.artefact.ref, "reused": not draft.is_new, **facts, "champion": facts_of(rival)}


def facts_of(rival: Champion) -> Facts:
    """Who the champion is, for the record and the page."""
    return {
        "model": rival.ref,
        "is_popular": rival.is_popular,
        "compared": rival.is_popular or rival.is_blind,
        "why": rival.why,
    }


def list_settings(job: Job) -> dict[str, Any]:
    """The settings that lists depend on."""
    settings = job.settings
    return {
        "ranker": settings.ranker.model_dump(mode="json"),
        "rules": settings.rules.model_dump(mode="json"),
        "event_weights": settings.event_weights,
        "target_events": settings.target_events,
    }


def _score(job: Job, refs: Mapping[str, str], rival: Champion, draft: Draft) -> None:
    towers = job.workspace.at(refs["towers"]).metrics
    models: dict[str, Model] = {CHALLENGER: model_of(job, refs)} if towers["fitted"] else {}
    if not rival.is_popular and rival.is_blind:
        models[CHAMPION] = model_of(job, rival.refs)
    models |= {POPULAR: PopularModel(), REPEAT: RepeatModel()}
    board = score_models(job, models, next(iter(models)), job.night.train_until, job.night.as_of)
    board.scores.write_parquet(draft.path / "scores.parquet")
    write_whole(draft.path / "table.json", json.dumps(board.tables, indent=2))
    draft.metrics.update(
        fitted=towers["fitted"],
        why=towers.get("why"),
        slices=board.tables,
        users=board.users,
        window=[job.night.train_until.isoformat(), job.night.as_of.isoformat()],
    )
