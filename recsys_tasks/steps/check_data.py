"""Stop before training where the night has too little to learn from, and count what it has."""

import polars as pl

from recsys_tasks.calendar import night_of
from recsys_tasks.errors import DataError, EmptyPartition, NightOutOfRange
from recsys_tasks.lake.snapshot import Snapshot
from recsys_tasks.steps.job import Job
from recsys_tasks.workspace import Facts


def run(job: Job) -> Facts:
    """
    What the night knows, in figures.

    Raises NightOutOfRange before the first event, EmptyPartition without catalogue or without events of the day,
    DataError with too little history or fewer than two users.
    """
    _require_begun(job)
    snapshot = job.lake.snapshot(job.night.as_of)
    _require_enough(job, snapshot)
    record = job.lake.day_record(job.night.date)
    listed = snapshot.items.select("item_id")
    return {
        "events": record.rows if record else 0,
        "events_total": snapshot.events.height,
        "users": snapshot.events["user_id"].n_unique(),
        "items": snapshot.items.height,
        "eligible_items": len(snapshot.eligible()),
        "rejected": record.rejected if record else {},
        "filtered": record.filtered if record else {},
        "unlisted_share": snapshot.events.join(listed, on="item_id", how="anti").height
        / snapshot.events.height,
        "state": job.lake.state(job.night),
    }


def _require_begun(job: Job) -> None:
    begins = job.lake.first_event()
    if begins is None:
        raise EmptyPartition(f"the lake of {job.settings.name} has no events: extract some days first")
    if job.night.as_of <= begins:
        raise NightOutOfRange(
            f"night {job.night} lies before the first event ({begins:%Y-%m-%d %H:%M} UTC, "
            f"business day {night_of(begins, job.settings.zone)}); choose that day or a later one"
        )


def _require_enough(job: Job, snapshot: Snapshot) -> None:
    if snapshot.items.is_empty():
        raise EmptyPartition(f"the catalogue of {job.settings.name} is empty as of night {job.night}")
    record = job.lake.day_record(job.night.date)
    if record is None or record.rows == 0:
        raise EmptyPartition(f"the lake has no events of night {job.night}: run extract_events for it")
    # Only what models learn from counts: a shop with views alone and no weight for them has nothing to train on.
    training = snapshot.events.filter(
        pl.col("occurred_at") < job.night.train_until,
        pl.col("event_type").is_in(list(job.settings.event_weights)),
    )
    if training.is_empty():
        days = job.settings.gate.days
        raise DataError(
            f"night {job.night} has too little history: the last {days} days are kept for the gate (gate.days), and "
            f"nothing to learn from lies before {job.night.train_until:%Y-%m-%d %H:%M} UTC; load at least {days + 1} "
            "days with events of the types in event_weights, or choose a later night"
        )
    users = training["user_id"].n_unique()
    if users < 2:
        raise DataError(
            f"night {job.night} has {users} user in its training events "
            f"(before {job.night.train_until:%Y-%m-%d %H:%M} UTC): "
            "at least two are needed; check sources.events.columns.user_id"
        )
