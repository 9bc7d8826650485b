"""An event on a boundary second belongs to one night, the same one for the source, the lake and the DAG."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from deltalake import DeltaTable

from recsys_tasks.calendar import Night, night_of
from recsys_tasks.steps import extract_events
from recsys_tasks.steps.ingest import run_range
from tests.steps.log_shop import make_log_shop

# Zone, night, its first instant in UTC, and its hours.
NIGHTS = [
    ("UTC", "2026-03-08", "2026-03-08 00:00:00", 24),
    ("Asia/Shanghai", "2026-03-08", "2026-03-07 16:00:00", 24),
    ("America/New_York", "2026-03-07", "2026-03-07 05:00:00", 24),
    ("America/New_York", "2026-03-08", "2026-03-08 05:00:00", 23),
    ("America/New_York", "2026-03-09", "2026-03-09 04:00:00", 24),
    ("America/New_York", "2026-10-31", "2026-10-31 04:00:00", 24),
    ("America/New_York", "2026-11-01", "2026-11-01 04:00:00", 25),
    ("America/New_York", "2026-11-02", "2026-11-02 05:00:00", 24),
]
SECOND = timedelta(seconds=1)
every_night = pytest.mark.parametrize(("zone", "day", "begins", "hours"), NIGHTS)


@pytest.fixture
def shop_in(tmp_path, monkeypatch):
    """A shop whose log has an event on each second around the night's two ends, and one in its middle."""

    def make(zone, begins, hours):
        start = datetime.fromisoformat(begins).replace(tzinfo=UTC)
        end = start + timedelta(hours=hours)
        shop = make_log_shop(tmp_path, monkeypatch, time_zone=zone, first_night=date(2026, 1, 1))
        middle = start + timedelta(hours=hours) / 2
        seconds = {
            "before": start - SECOND,
            "first": start,
            "middle": middle,
            "last": end - SECOND,
            "after": end,
        }
        shop.log(*((user, "tent", f"{at:%Y-%m-%d %H:%M:%S}") for user, at in seconds.items()))
        return shop

    return make


def users_of(shop, day):
    """Who is in the partition of a day."""
    table = DeltaTable(shop.lake / "events")
    rows = pl.scan_delta(table).filter(pl.col("event_date") == date.fromisoformat(day)).collect()
    return set(rows["user_id"])


@every_night
def test_a_night_has_its_hours(zone, day, begins, hours):
    night = Night(date.fromisoformat(day), ZoneInfo(zone))
    assert f"{night.start:%Y-%m-%d %H:%M:%S}" == begins
    assert night.as_of - night.start == timedelta(hours=hours)


@every_night
def test_the_extraction_of_a_night_takes_its_first_and_its_last_second(shop_in, zone, day, begins, hours):
    shop = shop_in(zone, begins, hours)
    extract_events.run(shop.job(day))
    assert users_of(shop, day) == {"first", "middle", "last"}
    assert [str(found) for found in shop.job(day).lake.days()] == [day]


@every_night
def test_a_range_puts_every_second_into_the_partition_of_its_night(shop_in, zone, day, begins, hours):
    shop = shop_in(zone, begins, hours)
    eve, morrow = (str(date.fromisoformat(day) + timedelta(days=by)) for by in (-1, 1))
    run_range(eve, morrow, catalogue=False)
    assert [users_of(shop, d) for d in (eve, day, morrow)] == [
        {"before"},
        {"first", "middle", "last"},
        {"after"},
    ]


@every_night
def test_what_a_night_sees_ends_with_its_last_second(shop_in, zone, day, begins, hours):
    shop = shop_in(zone, begins, hours)
    eve, morrow = (str(date.fromisoformat(day) + timedelta(days=by)) for by in (-1, 1))
    run_range(eve, morrow, catalogue=False)
    job = shop.job(day)
    seen = job.lake.snapshot(job.night.as_of).events
    assert set(seen["user_id"]) == {"before", "first", "middle", "last"}


@every_night
def test_the_dag_s_night_of_an_instant_is_the_lake_s(zone, day, begins, hours):
    start = datetime.fromisoformat(begins).replace(tzinfo=UTC)
    end = start + timedelta(hours=hours)
    for at, by in ((start - SECOND, -1), (start, 0), (end - SECOND, 0), (end, 1)):
        assert night_of(at, ZoneInfo(zone)) == date.fromisoformat(day) + timedelta(days=by)
