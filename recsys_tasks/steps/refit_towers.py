"""The towers that the gate accepted, taken on to the night's end: what tonight's lists come from."""

import logging

from recsys_tasks.evaluate.gate import CHALLENGER
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.serving import chosen
from recsys_tasks.workspace import Facts

log = logging.getLogger(__name__)

CHAMPIONS = "the champion makes tonight's lists: where the gate refused tonight's training, its days teach nothing more"


def run(job: Job) -> Facts:
    """
    Make the artefact ``refit``: the accepted towers after ``towers.refit_epochs`` more, and an index over them.

    They learn from everything up to the night's end, the gate's window included. Only lists come from them: what the
    gate compares, what the next night starts from and what a rollback goes back to are the towers that the gate saw.
    Where the champion makes tonight's lists, or no refit is asked for, none is made and ``why`` tells.
    """
    if not job.settings.towers.refit_epochs:
        return {"fitted": False, "asked": False, "why": "towers.refit_epochs is 0"}
    made_by, refs = chosen(job)
    if made_by != CHALLENGER:
        log.info("no refit: %s", CHAMPIONS)
        return {"fitted": False, "asked": True, "why": CHAMPIONS}
    # Torch, which takes seconds to import, is needed only here.
    from recsys_tasks.steps.refit import refitted

    return refitted(job, job.workspace.at(refs["towers"]))
