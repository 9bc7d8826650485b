"""When the shop's DAGs run; the only part of shop.yaml that a DAG file reads."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time
from functools import wraps

from airflow.sdk import DAG, CronDataIntervalTimetable

from recsys_tasks.settings import load_settings


@dataclass(frozen=True)
class Schedule:
    """A cron schedule in the shop's zone, and the nights between which it applies."""

    timetable: CronDataIntervalTimetable
    first: datetime
    last: datetime | None


def shop_schedule() -> Schedule:
    """
    The schedule of the shop that ``RECSYS_SHOP`` names.

    The timetable is named because a bare cron string would give a run an interval without length, and the night
    is the day that interval begins on.
    """
    shop = load_settings()
    last = shop.last_night
    return Schedule(
        CronDataIntervalTimetable(shop.schedule, timezone=shop.time_zone),
        datetime.combine(shop.first_night, time.min, tzinfo=shop.zone),
        None if last is None else datetime.combine(last, time.max, tzinfo=shop.zone),
    )


def only_the_schedule_ends(make: Callable[[], DAG]) -> Callable[[], DAG]:
    """
    A DAG that can be run by hand after its ``end_date`` too.

    Airflow hands a DAG's end down to its tasks and leaves them out of any later run but a backfill's: a run from the
    form would then be green and have done nothing.
    """

    @wraps(make)
    def made() -> DAG:
        dag = make()
        for task in dag.tasks:
            task.end_date = None
        return dag

    return made
