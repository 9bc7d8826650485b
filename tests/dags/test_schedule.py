"""The shop's own timetable, as Airflow's scheduler walks it: every night once, in every zone, clocks changed or not."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from airflow.sdk import timezone
from airflow.timetables.base import TimeRestriction
from common.night import resolve_night
from shop_timetable import ShopTimetable

from recsys_tasks.calendar import Night

ZONES = ("UTC", "Asia/Shanghai", "America/New_York")
# Before dawn, also in the hour that the change of clocks takes away or gives twice.
CRONS = ("30 0 * * *", "30 1 * * *", "0 2 * * *", "30 2 * * *", "30 3 * * *", "30 23 * * *")
FIRST_DAYS = (date(2026, 3, 5), date(2026, 10, 29))
DAYS = 7


def walk(zone: str, cron: str, first: date):
    """The runs of some days: (night, when the run starts)."""

    timetable = ShopTimetable(cron, zone)
    earliest = timezone.coerce_datetime(datetime.combine(first, datetime.min.time(), tzinfo=ZoneInfo(zone)))
    restriction = TimeRestriction(earliest=earliest, latest=None, catchup=True)
    last = None
    while True:
        run = timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
        last = run.data_interval
        if last.start >= earliest + timedelta(days=DAYS):
            return
        night = resolve_night(
            given=None, run_type="scheduled", interval_start=last.start, zone=ZoneInfo(zone)
        )
        yield night, run.run_after


@pytest.mark.parametrize("first", FIRST_DAYS)
@pytest.mark.parametrize("cron", CRONS)
@pytest.mark.parametrize("zone", ZONES)
def test_every_night_is_run_once_and_after_it_has_ended(zone, cron, first):
    runs = list(walk(zone, cron, first))
    nights = [night for night, _ in runs]
    assert nights == [(first + timedelta(days=day)).isoformat() for day in range(len(nights))]
    for night, starts in runs:
        assert starts >= Night(date.fromisoformat(night), ZoneInfo(zone)).as_of, f"{night} starts at {starts}"


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("stored", [False, True])
def test_the_last_scheduled_night_is_the_shops_last_also_as_the_scheduler_reads_it(zone, stored):
    last = date(2026, 3, 9)
    timetable = ShopTimetable(
        "30 3 * * *", zone, datetime.combine(last, datetime.max.time(), tzinfo=ZoneInfo(zone))
    )
    if stored:
        timetable = ShopTimetable.deserialize(timetable.serialize())
    earliest = timezone.coerce_datetime(
        datetime.combine(date(2026, 3, 6), datetime.min.time(), ZoneInfo(zone))
    )
    restriction = TimeRestriction(earliest=earliest, latest=None, catchup=True)
    nights, run = [], None
    while True:
        interval = None if run is None else run.data_interval
        run = timetable.next_dagrun_info(last_automated_data_interval=interval, restriction=restriction)
        if run is None:
            break
        start = run.data_interval.start
        nights.append(
            resolve_night(given=None, run_type="scheduled", interval_start=start, zone=ZoneInfo(zone))
        )
    assert nights == ["2026-03-06", "2026-03-07", "2026-03-08", "2026-03-09"]


def test_a_schedule_without_a_last_night_goes_on():
    stored = ShopTimetable.deserialize(ShopTimetable("30 3 * * *", "UTC").serialize())
    assert stored.last is None
