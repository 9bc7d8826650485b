"""
What tonight's lists come from: the model that the gate chose, with the weights of its refit where it has one.

Nothing but lists, and what measures them, may ask for it: a refit has seen the days that the gate keeps for itself.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from recsys_tasks.errors import MissingArtefact
from recsys_tasks.evaluate.gate import CHALLENGER, CHAMPION, POPULAR
from recsys_tasks.index.index import ItemIndex
from recsys_tasks.model.towers import TowerModel
from recsys_tasks.recommend.model import Model
from recsys_tasks.recommend.night_model import NightModel
from recsys_tasks.steps.champion import is_popular, model_of
from recsys_tasks.steps.job import Job

# The folder of its own index in a refit's artefact.
INDEX = "index"


def chosen(job: Job) -> tuple[str, dict[str, Any]]:
    """
    Who makes tonight's lists, and of which artefacts: those that the gate recorded, whatever was made since.

    The challenger where the gate accepted it and nobody revoked that, else the champion that it met.
    """
    decision = job.store.decision(job.night.date)
    if decision is None:
        raise MissingArtefact(f"the gate has not decided on night {job.night} yet: run gate first")
    if decision.accepted and decision.revoked_at is None:
        return CHALLENGER, dict(decision.refs)
    return (POPULAR if is_popular(decision.champion) else CHAMPION), dict(decision.champion)


def refit_of(job: Job, made_by: str, refs: Mapping[str, Any]) -> dict[str, str]:
    """
    ``{"refit": ref}`` of the chosen model; empty where the champion makes the lists, or where no refit is asked for.

    Raises MissingArtefact where ``refit_towers`` has to run first.
    """
    if made_by != CHALLENGER or not job.settings.towers.refit_epochs:
        return {}
    refit = job.workspace.need("refit", job.night)
    if refit.manifest["inputs"]["towers"] != refs["towers"]:
        raise MissingArtefact(
            f"the refit of night {job.night} goes on from other towers than the gate accepted: run refit_towers again"
        )
    return {"refit": refit.ref}


def serving_model(job: Job, refs: Mapping[str, Any], refit: str | None) -> Model:
    """
    ``champion.model_of`` these artefacts, asked with the weights and the index of ``refit``.

    Raises MissingArtefact where a part is gone, ValueError where the refit does not go on from these towers.
    """
    model = model_of(job, refs)
    if refit is None:
        return model
    made = job.workspace.at(refit)
    if not isinstance(model, NightModel) or made.manifest["inputs"]["towers"] != refs["towers"]:
        raise ValueError(f"{refit} does not go on from the towers of {model.ref}")
    towers, index = TowerModel.load(made.path), ItemIndex.load(made.path / INDEX)
    return replace(model, ref=made.ref, towers=towers, index=index, index_as_of=job.night.as_of)
