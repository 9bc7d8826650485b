"""Which cuts tonight's ranker learns from, as far as the log decides it."""

from collections.abc import Iterator
from datetime import datetime

import polars as pl

from recsys_tasks.errors import MissingArtefact
from recsys_tasks.pairs.audit import LearningCut
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.ranker_cuts import Plan, plans


def preferred(job: Job) -> Iterator[Plan]:
    """
    The plans in the order to be tried: the shortest with enough to learn from, then ever shorter ones.

    None is lengthened over more than half of the log: the rest is what base towers and the encoder learn from.
    """
    *scaled, young = plans(job.night, job.settings.ranker)
    begin, end = job.lake.first_event(), job.night.train_until
    longer = [plan for plan in scaled if plan is scaled[0] or _leaves_half(plan, begin, end)]
    enough = job.settings.ranker.enough_taken
    # Counted no further than need be: the longest plan reads more than a year of events.
    first = next((n for n, plan in enumerate(longer) if _size(job, plan) >= enough), len(longer) - 1)
    return iter([*reversed(longer[: first + 1]), young])


def ranker_begins(job: Job) -> list[datetime]:
    """
    The first cuts of those plans: the ranker's days may begin there.

    A plan is passed over only where the log has nothing to learn from before its first cut. So what knows nothing from
    the first of these on that has events before it knows nothing of the days that the ranker learns from.
    """
    return [plan[0].at for plan in preferred(job)]


def learned_until(job: Job, encoder: str) -> datetime | None:
    """
    Up to where an encoder has learned from the log; none for a base that learned from nobody.

    Tonight's own ends before the ranker's days. One of an earlier night that goes on may not: other settings, or an
    earlier version, made it.
    """
    try:
        metrics = job.workspace.at(encoder).metrics
    except MissingArtefact:
        # Vectors may outlive their encoder; nobody can tell any more.
        return None
    return datetime.fromisoformat(metrics["trained_before"]) if metrics.get("kept") else None


def taken(job: Job, cut: LearningCut) -> pl.DataFrame:
    """The events that label a cut."""
    events = job.lake.events_between(cut.at, cut.until)
    return events.filter(pl.col("event_type").is_in(job.settings.target_events))


def _leaves_half(plan: Plan, begin: datetime | None, end: datetime) -> bool:
    return begin is not None and plan[0].at - begin >= end - plan[0].at


def _size(job: Job, plan: Plan) -> int:
    """Distinct (shopper, item, cut) that were taken in the labels of a plan."""
    return sum(len(taken(job, cut).select("user_id", "item_id").unique()) for cut in plan)
