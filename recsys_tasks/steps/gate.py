"""Whose model makes tonight's lists."""

import logging
from typing import Any

from recsys_tasks.errors import DataError
from recsys_tasks.evaluate.gate import Decision, decide, no_challenger
from recsys_tasks.steps.champion import Champion, challenger_refs, champion
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.scoreboard import metric_rows
from recsys_tasks.workspace import Artefact, Facts

log = logging.getLogger(__name__)


def run(job: Job) -> Facts:
    """
    Decide on the evaluation's figures and record it in the store, with the artefacts that were evaluated.

    A refusal is no error: the champion makes tonight's lists, with tonight's histories. Raises DataError where the
    night's models are not those that were evaluated.
    """
    evaluation = job.workspace.need("evaluation", job.night)
    rival = champion(job)
    judged = _judged(job, evaluation, rival)
    decision = _decide(job, evaluation.metrics, rival)
    job.store.record_decision(
        job.night.date,
        accepted=decision.accepted,
        refs=judged["challenger"],
        champion=judged["champion"],
        metrics={"evaluation": evaluation.ref, **decision.facts()},
        why=decision.why,
        run_id=job.options.run_id,
    )
    job.store.record_metrics(job.night.date, "gate", metric_rows(evaluation.metrics["slices"]))
    log.info("night %s: the challenger is %s", job.night, decision.why)
    # A rollback took this night's model back, and deciding again does not lift that.
    recorded = job.store.decision(job.night.date)
    revoked = recorded is not None and recorded.revoked_at is not None
    return {**decision.facts(), "revoked": revoked, "evaluation": evaluation.ref, "champion": rival.ref}


def _judged(job: Job, evaluation: Artefact, rival: Champion) -> dict[str, dict[str, Any]]:
    """The artefacts behind the figures, which must be the ones that the night would use."""
    inputs = evaluation.manifest["inputs"]
    now = {"challenger": challenger_refs(job), "champion": rival.refs}
    for who, refs in now.items():
        if refs != inputs[who]:
            changed = sorted(
                name for name in {**refs, **inputs[who]} if refs.get(name) != inputs[who].get(name)
            )
            raise DataError(
                f"night {job.night}: the {who} is not the one that {evaluation.ref} evaluated "
                f"({', '.join(changed)}): run evaluate again"
            )
    return {who: inputs[who] for who in now}


def _decide(job: Job, metrics: Facts, rival: Champion) -> Decision:
    repeats = job.settings.rules.repeats_allowed
    if not metrics["fitted"]:
        return no_challenger(metrics["why"], repeats)
    unmatched = None if rival.is_popular or rival.is_blind else f"the champion was not compared: {rival.why}"
    return decide(metrics["slices"], repeats, job.settings.gate.tolerance, unmatched)
