from datetime import UTC, date, datetime
from itertools import pairwise

import pytest

from recsys_tasks.errors import NightOutOfRange, TooManyBadRows
from recsys_tasks.steps import extract_events
from recsys_tasks.steps.ingest import added, chunks, months, run_range, summed
from tests.steps.log_shop import LogShop, make_log_shop, visits


@pytest.fixture
def shop(tmp_path, monkeypatch) -> LogShop:
    return make_log_shop(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("first", "last", "count", "lengths"),
    [
        ("2026-03-01", "2026-03-10", 3, [3, 3, 4]),
        ("2026-03-01", "2026-03-02", 4, [1, 1]),
        ("2026-03-01", "2026-03-01", 1, [1]),
        ("2020-01-01", "2023-12-31", 1, [365, 365, 365, 366]),
    ],
)
def test_a_range_is_cut_without_gap_or_overlap(first, last, count, lengths):
    parts = [
        (date.fromisoformat(begin), date.fromisoformat(end)) for begin, end in chunks(first, last, count)
    ]
    assert [(end - begin).days + 1 for begin, end in parts] == lengths
    assert (parts[0][0].isoformat(), parts[-1][1].isoformat()) == (first, last)
    assert all((after[0] - before[1]).days == 1 for before, after in pairwise(parts))


@pytest.mark.parametrize(("first", "last"), [("2026-03-02", "2026-03-01"), ("2026-3-1", "2026-03-02")])
def test_what_is_no_range_is_refused(shop, first, last):
    with pytest.raises(NightOutOfRange):
        chunks(first, last)
    with pytest.raises(NightOutOfRange):
        run_range(first, last)


def test_a_range_that_has_not_ended_is_refused(shop):
    with pytest.raises(NightOutOfRange, match="has not ended"):
        run_range("2026-03-01", "2999-01-01")


def test_days_behind_the_end_of_the_log_are_refused_before_any_is_loaded(tmp_path, monkeypatch):
    shop = make_log_shop(tmp_path, monkeypatch, last_night=date(2026, 3, 3))
    shop.log(*visits(9))
    told = "log ends with 2026-03-03 .*2026-03-04 lies behind it"
    with pytest.raises(NightOutOfRange, match=told):
        run_range("2026-03-01", "2026-03-04", catalogue=False)
    with pytest.raises(NightOutOfRange, match=told):
        months("2025-03-01", "2026-03-04")
    assert shop.job("2026-03-03").lake.days() == []
    assert months("2026-03-01", "2026-03-03") == [("2026-03-01", "2026-03-03")]
    assert run_range("2026-03-01", "2026-03-03", catalogue=False)["events"] == 6


def test_history_is_loaded_with_its_empty_days_and_the_catalogue_as_of_its_last(shop):
    shop.log(*visits(2))
    shop.products(("tent", "Tent"))
    facts = run_range("2026-03-01", "2026-03-03")
    job = shop.job("2026-03-03")
    assert [job.lake.day_record(day).rows for day in job.lake.days()] == [2, 2, 0]
    assert facts["events"] == 4


@pytest.mark.parametrize(("read", "proven"), [("2026-03-04T09:00", True), ("2026-06-01T09:00", False)])
def test_only_a_catalogue_read_about_when_the_night_ended_proves_what_was_offered(
    shop, monkeypatch, read, proven
):
    shop.log(*visits(2))
    shop.products(("tent", "Tent"))
    monkeypatch.setattr(
        "recsys_tasks.steps.ingest._now", lambda: datetime.fromisoformat(read).replace(tzinfo=UTC)
    )
    run_range("2026-03-01", "2026-03-03")
    job = shop.job("2026-03-03")
    assert job.lake.catalogue(job.night.as_of)["proven"].to_list() == [proven]
    assert job.lake.catalogue(job.night.start)["proven"].to_list() == [False]


def test_several_ranges_take_the_catalogue_once(shop):
    shop.log(*visits(1))
    shop.products(("tent", "Tent"))
    assert "items" not in run_range("2026-03-01", "2026-03-01", catalogue=False)


def test_days_that_the_source_has_forgotten_stay_when_history_is_loaded_again(shop, caplog):
    """A log that keeps some days only, and a year that somebody loads once more."""
    shop.log(*visits(3))
    run_range("2026-03-01", "2026-03-03", catalogue=False)
    lake = shop.job("2026-03-03").lake
    before = [lake.day_record(date(2026, 3, day)) for day in (1, 2, 3)]
    shop.forget("log")
    run_range("2026-03-01", "2026-03-03", catalogue=False)
    assert [lake.day_record(date(2026, 3, day)) for day in (1, 2, 3)] == before
    assert "the source has no row of 2026-03-03 any more: the lake keeps its" in caplog.text


def test_a_night_whose_day_the_source_has_forgotten_is_made_from_the_lake(shop):
    shop.log(*visits(3))
    extract_events.run(shop.job("2026-03-02"))
    record = shop.job("2026-03-02").lake.day_record(date(2026, 3, 2))
    shop.forget("log")
    extract_events.run(shop.job("2026-03-02"))
    assert shop.job("2026-03-02").lake.day_record(date(2026, 3, 2)) == record


def test_a_year_by_hand_is_loaded_month_by_month(shop):
    lengths = [
        (date.fromisoformat(end) - date.fromisoformat(begin)).days + 1
        for begin, end in months("2017-01-01", "2017-12-31")
    ]
    assert sum(lengths) == 365
    assert max(lengths) <= 31


def test_a_day_of_history_is_what_the_night_itself_would_write(shop):
    shop.log(*visits(3))
    run_range("2026-03-01", "2026-03-03", catalogue=False)
    record = shop.job("2026-03-02").lake.day_record(date(2026, 3, 2))
    extract_events.run(shop.job("2026-03-02"))
    assert shop.job("2026-03-02").lake.day_record(date(2026, 3, 2)) == record


def test_a_bad_range_stops_before_the_lake_is_touched(shop):
    shop.log((None, "tent", "2026-03-01 17:00:00"))
    with pytest.raises(TooManyBadRows):
        run_range("2026-03-01", "2026-03-02", catalogue=False)
    assert not shop.lake.exists()


def test_counts_add_up_by_name():
    assert added({"b": 1, "a": 2}, {"b": 3}) == {"a": 2, "b": 4}


def test_the_pieces_of_a_range_are_told_as_one(shop):
    shop.log(*visits(3))
    shop.products(("tent", "Tent"))
    pieces = chunks("2026-03-01", "2026-03-03", 2)
    loaded = [run_range(*piece, catalogue=piece is pieces[-1]) for piece in pieces]
    told = summed(loaded)
    assert (told["first"], told["last"], told["events"], told["read"]) == ("2026-03-01", "2026-03-03", 6, 6)
    assert told["items"]["total"] == 1
