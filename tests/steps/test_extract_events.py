from datetime import date

import polars as pl
import pytest

from recsys_tasks.errors import EmptyPartition, NightOutOfRange, TooManyBadRows
from recsys_tasks.steps import extract_events
from tests.steps.log_shop import LogShop, make_log_shop

NIGHT = "2026-03-08"  # 23 hours in New York: from 05:00 to 04:00 UTC
EDGES = [
    ("ann", "last of the 7th", "2026-03-08 04:59:59"),
    ("ann", "first of the 8th", "2026-03-08 05:00:00"),
    ("ann", "last of the 8th", "2026-03-09 03:59:59"),
    ("ann", "first of the 9th", "2026-03-09 04:00:00"),
]


@pytest.fixture
def shop(tmp_path, monkeypatch) -> LogShop:
    return make_log_shop(tmp_path, monkeypatch)


def test_the_night_holds_its_business_day_to_the_second(shop):
    shop.log(*EDGES)
    facts = extract_events.run(shop.job(NIGHT))
    job = shop.job(NIGHT)
    log = job.lake.events_between(job.night.start, job.night.as_of)
    assert log["item_id"].to_list() == ["first of the 8th", "last of the 8th"]
    assert job.lake.days() == [date(2026, 3, 8)]
    assert facts["events"] == 2


def test_a_rerun_gives_the_same_fingerprint_and_a_late_row_another(shop):
    shop.log(*EDGES)
    first = extract_events.run(shop.job(NIGHT))
    assert extract_events.run(shop.job(NIGHT)) == first
    shop.log(("bob", "late", "2026-03-08 12:00:00"))
    assert extract_events.run(shop.job(NIGHT))["fingerprint"] != first["fingerprint"]


def test_days_before_the_night_are_read_again_for_late_rows_but_none_before_the_first_night(
    tmp_path, monkeypatch
):
    shop = make_log_shop(tmp_path, monkeypatch, lookback_days=3, first_night=date(2026, 3, 7))
    shop.log(*EDGES)
    extract_events.run(shop.job(NIGHT))
    assert shop.job(NIGHT).lake.days() == [date(2026, 3, 7), date(2026, 3, 8)]


def test_a_night_behind_the_end_of_the_log_is_refused(tmp_path, monkeypatch):
    shop = make_log_shop(tmp_path, monkeypatch, last_night=date(2026, 3, 8))
    shop.log(*EDGES)
    with pytest.raises(NightOutOfRange, match="log ends with 2026-03-08"):
        extract_events.run(shop.job("2026-03-09"))
    assert not shop.lake.exists()
    assert extract_events.run(shop.job(NIGHT))["events"] == 2


def test_an_empty_night_stops_with_source_and_instants_and_writes_nothing(tmp_path, monkeypatch):
    shop = make_log_shop(tmp_path, monkeypatch, lookback_days=3)
    shop.log(EDGES[0], EDGES[3])  # the day before has rows
    with pytest.raises(EmptyPartition) as stopped:
        extract_events.run(shop.job(NIGHT))
    for part in ("SELECT * FROM log", "2026-03-08 05:00", "2026-03-09 04:00 UTC"):
        assert part in str(stopped.value)
    assert not shop.lake.exists()


def test_too_many_bad_rows_stop_with_counts_before_the_lake_is_touched(shop):
    shop.log(*EDGES, (None, "tent", "2026-03-08 12:00:00"), (" ", "tent", "2026-03-08 12:00:00"))
    with pytest.raises(TooManyBadRows) as stopped:
        extract_events.run(shop.job(NIGHT))
    for part in ("2 of 4", "5.0%", "user_id|min_length 1", "user_id|nullability 1"):
        assert part in str(stopped.value)
    assert not shop.lake.exists()
    kept = pl.read_parquet(shop.folder / "home" / "quarantine" / "events" / f"{NIGHT}.parquet")
    assert kept.height == 2


def test_a_few_bad_rows_are_set_aside_and_the_night_goes_on(tmp_path, monkeypatch):
    shop = make_log_shop(tmp_path, monkeypatch, check={"max_rejected": 0.5})
    shop.log(*EDGES, (None, "tent", "2026-03-08 12:00:00"))
    assert extract_events.run(shop.job(NIGHT))["rejected"] == {"user_id|nullability": 1}
    assert shop.job(NIGHT).lake.day_record(date(2026, 3, 8)).rejected == {"user_id|nullability": 1}


def test_days_that_the_source_has_forgotten_stay_in_the_lake(tmp_path, monkeypatch, caplog):
    """A log that keeps some weeks, and a night made again when the days before it are gone from there."""
    shop = make_log_shop(tmp_path, monkeypatch, lookback_days=2)
    shop.log(*EDGES, ("bob", "of the 6th", "2026-03-06 17:00:00"))
    extract_events.run(shop.job(NIGHT))
    before = {day: shop.job(NIGHT).lake.day_record(day) for day in shop.job(NIGHT).lake.days()}
    shop.forget("log")
    shop.log(*EDGES[1:])
    extract_events.run(shop.job(NIGHT))
    assert {day: shop.job(NIGHT).lake.day_record(day) for day in shop.job(NIGHT).lake.days()} == before
    assert "the source has no row of 2026-03-06 any more: the lake keeps its 1 events" in caplog.text


def test_a_day_behind_one_that_has_rows_is_emptied_where_the_source_took_them_back(tmp_path, monkeypatch):
    shop = make_log_shop(tmp_path, monkeypatch, lookback_days=2)
    shop.log(*EDGES, ("bob", "of the 6th", "2026-03-06 17:00:00"))
    extract_events.run(shop.job(NIGHT))
    shop.forget("log")
    shop.log(*EDGES[1:], ("bob", "of the 6th", "2026-03-06 17:00:00"))
    extract_events.run(shop.job(NIGHT))
    assert shop.job(NIGHT).lake.day_record(date(2026, 3, 7)).rows == 0
