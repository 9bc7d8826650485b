"""History: a year in one command, many days at once by real processes, any day again."""

import subprocess
import sys
from datetime import date, timedelta

import polars as pl
import pytest
from deltalake import DeltaTable

from recsys_tasks.calendar import days_between
from recsys_tasks.lake.tables import Lake
from recsys_tasks.settings import load_settings
from recsys_tasks.steps.ingest import run_range
from tests.integration.conftest import ROOT
from tests.steps.log_shop import FIRST, make_log_shop, visits

DAYS = 8
LAST = FIRST + timedelta(days=DAYS - 1)


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A log of eight days, one of them empty, and a catalogue."""
    shop = make_log_shop(tmp_path, monkeypatch)
    shop.log(*(row for row in visits(DAYS) if "2026-03-05" not in row[2]))
    shop.products(("tent", "Tent"), ("mat", "Mat"))
    return shop


def partition(shop, day):
    """The rows of a day's partition as they are stored."""
    rows = pl.scan_delta(DeltaTable(shop.lake / "events")).filter(pl.col("event_date") == day).collect()
    return rows.sort(pl.all())


def told(lake):
    """All that nights are told by a lake."""
    night = load_settings().night
    records = {day: lake.day_record(day) for day in lake.days()}
    return records, [lake.state(night(str(day))) for day in days_between(FIRST, LAST)]


def test_a_year_is_loaded_in_one_command(tmp_path, monkeypatch):
    shop = make_log_shop(tmp_path, monkeypatch)
    last = FIRST - timedelta(days=1)
    first = last - timedelta(days=364)
    shop.log(*(("ann", "tent", f"{day} 17:00:00") for day in days_between(first, last)))
    shop.products(("tent", "Tent"))
    done = subprocess.run(
        [sys.executable, "-m", "recsys_tasks", "ingest", str(first), str(last)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lake = Lake(shop.lake)
    assert lake.days() == list(days_between(first, last))
    assert {lake.day_record(day).rows for day in lake.days()} == {1}


@pytest.mark.parametrize("day", [FIRST, date(2026, 3, 5), LAST])
def test_any_day_again_gives_the_same_partition(shop, day):
    run_range(str(FIRST), str(LAST))
    before, rows = told(Lake(shop.lake)), partition(shop, day)
    run_range(str(day), str(day))
    assert told(Lake(shop.lake)) == before
    assert partition(shop, day).equals(rows)


@pytest.mark.slow
def test_days_loaded_by_many_processes_at_once_are_those_loaded_in_order(shop):
    run_range(str(FIRST), str(LAST))
    in_order = told(Lake(shop.lake))
    shop.lake.rename(shop.lake.with_name("in_order"))
    at_once = [
        subprocess.Popen(
            [sys.executable, "-m", "recsys_tasks", "ingest", str(day), str(day)],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        for day in reversed(list(days_between(FIRST, LAST)))
    ]
    for process in at_once:
        _, words = process.communicate(timeout=120)
        assert process.returncode == 0, words
    assert told(Lake(shop.lake)) == in_order
