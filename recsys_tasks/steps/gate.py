"""Whose model makes tonight's lists."""

import logging

from recsys_tasks.evaluate.gate import decide
from recsys_tasks.steps.champion import challenger_refs, champion
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.scoreboard import metric_rows
from recsys_tasks.workspace import Facts

log = logging.getLogger(__name__)


def run(job: Job) -> Facts:
    """
    Decide on the evaluation's figures and record it in the store.

    A refusal is no error: the champion makes tonight's lists, with tonight's histories.
    """
    evaluation = job.workspace.need("evaluation", job.night)
    tables = evaluation.metrics["slices"]
    decision = decide(tables, job.settings.rules.repeats_allowed, job.settings.gate.tolerance)
    rival = champion(job)
    job.store.record_decision(
        job.night.date,
        accepted=decision.accepted,
        refs=challenger_refs(job),
        champion=rival.refs,
        metrics={"evaluation": evaluation.ref, **decision.facts()},
        why=decision.why,
        run_id=job.options.run_id,
    )
    job.store.record_metrics(job.night.date, "gate", metric_rows(tables))
    log.info("night %s: the challenger is %s", job.night, decision.why)
    return {**decision.facts(), "evaluation": evaluation.ref, "champion": rival.ref}
