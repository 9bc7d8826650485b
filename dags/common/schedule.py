"""When the shop's DAGs run; the only part of shop.yaml that a DAG file reads."""

from dataclasses import dataclass
from datetime import datetime, time

from shop_timetable import ShopTimetable

from recsys_tasks.settings import load_settings


@dataclass(frozen=True)
class Schedule:
    """A cron schedule in the shop's zone, and the first night it applies to."""

    timetable: ShopTimetable
    first: datetime


def shop_schedule() -> Schedule:
    """
    The schedule of the shop that ``RECSYS_SHOP`` names.

    The timetable is named because a bare cron string would give a run an interval without length, and the night
    is the day that interval begins on. It knows the last night too: a DAG with an ``end_date`` has no tasks behind it.
    """
    shop = load_settings()
    last = None if shop.last_night is None else datetime.combine(shop.last_night, time.max, tzinfo=shop.zone)
    return Schedule(
        ShopTimetable(shop.schedule, shop.time_zone, last),
        datetime.combine(shop.first_night, time.min, tzinfo=shop.zone),
    )
