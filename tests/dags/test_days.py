from datetime import UTC, datetime
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from common.days import count_of, nights_from, resolve_days

from recsys_tasks.errors import NightOutOfRange, SettingsError

ZONE = ZoneInfo("America/New_York")
NOW = datetime(2026, 1, 10, 3, tzinfo=UTC)  # still the 9th in the shop


def days(first=None, last=None, run_type="manual", interval_start=None):
    return resolve_days(
        first=first, last=last, run_type=run_type, interval_start=interval_start, zone=ZONE, now=NOW
    )


def test_a_range_by_hand():
    assert days("2025-01-01", "2025-12-31") == ("2025-01-01", "2025-12-31")


@pytest.mark.parametrize("run_type", ["scheduled", "backfill"])
def test_a_run_of_its_own_takes_its_own_day(run_type):
    begins = datetime(2026, 1, 5, 3, 30, tzinfo=ZONE)
    assert days(run_type=run_type, interval_start=begins) == ("2026-01-05", "2026-01-05")


def test_the_last_full_day_is_the_newest_that_can_be_loaded():
    assert days("2026-01-08", "2026-01-08") == ("2026-01-08", "2026-01-08")


@pytest.mark.parametrize(
    ("why", "first", "last", "words"),
    [
        ("only one end", "2025-01-01", None, "to=empty"),
        ("the other end", None, "2025-01-01", "from=empty"),
        ("exchanged", "2025-02-01", "2025-01-01", "exchange them"),
        ("today has not ended", "2026-01-01", "2026-01-09", "has not ended"),
        ("the future", "2026-01-01", "2027-01-01", "has not ended"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(why, first, last, words):
    with pytest.raises(SettingsError, match=words):
        days(first, last)


def test_a_backfill_refuses_a_range_that_all_its_runs_would_load():
    with pytest.raises(SettingsError, match="leave them empty"):
        days("2025-01-01", "2025-01-31", run_type="backfill")


def test_what_is_no_date_is_refused():
    with pytest.raises(NightOutOfRange):
        days("2025-01-01", "soon")


def test_a_run_without_a_day_asks_for_a_range():
    with pytest.raises(SettingsError, match="fill in from and to"):
        days()


@pytest.mark.parametrize(
    ("first", "last", "size", "count"),
    [
        ("2025-01-01", "2025-01-01", 31, 1),
        ("2025-01-01", "2025-01-31", 31, 1),
        ("2025-01-01", "2025-02-01", 31, 2),
        ("2025-01-01", "2025-12-31", 31, 12),
    ],
)
def test_no_task_takes_more_days_than_asked_for(first, last, size, count):
    assert count_of(first, last, size) == count


def form(**given):
    """What Airflow hands a task of a run by hand."""
    fields = {"night": None, "from": None, "to": None}
    return {
        "params": {**fields, **given},
        "dag": SimpleNamespace(params=fields),
        "dag_run": SimpleNamespace(run_type="manual", conf=given),
    }


@pytest.mark.parametrize(
    ("given", "nights"),
    [
        ({"night": "2025-12-31"}, ["2025-12-31"]),
        ({"from": "2025-12-30", "to": "2026-01-01"}, ["2025-12-30", "2025-12-31", "2026-01-01"]),
        ({"from": "2025-12-30", "to": "2025-12-30"}, ["2025-12-30"]),
    ],
)
def test_the_nights_of_a_form(given, nights):
    assert nights_from(form(**given), ZONE) == nights


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"night": "2025-12-31", "from": "2025-12-30", "to": "2026-01-01"}, "leave one of them empty"),
        ({"from": "2025-12-30"}, "to=empty"),
        ({"from": "2025-12-30", "to": "2025-12-01"}, "exchange them"),
        ({}, "fill in night"),
    ],
)
def test_nights_that_make_no_sense_are_refused(given, words):
    with pytest.raises(SettingsError, match=words):
        nights_from(form(**given), ZONE)
