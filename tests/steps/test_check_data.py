import pytest

from recsys_tasks.errors import DataError, EmptyPartition, NightOutOfRange
from recsys_tasks.steps import check_data, extract_events, extract_items
from recsys_tasks.steps.ingest import run_range
from tests.steps.log_shop import LogShop, make_log_shop, visits


@pytest.fixture
def shop(tmp_path, monkeypatch) -> LogShop:
    shop = make_log_shop(tmp_path, monkeypatch)
    shop.products(("tent", "Tent"), ("mat", "Mat"))
    return shop


def test_a_night_with_enough_of_everything_is_counted(shop):
    shop.log(*visits(10), ("ann", "unlisted", "2026-03-09 12:00:00"))
    run_range("2026-03-01", "2026-03-10")
    facts = check_data.run(shop.job("2026-03-10"))
    counted = {
        name: facts[name] for name in ("events", "events_total", "users", "items", "rejected", "filtered")
    }
    assert counted == {
        "events": 2,
        "events_total": 21,
        "users": 2,
        "items": 2,
        "rejected": {},
        "filtered": {},
    }
    assert facts["unlisted_share"] == pytest.approx(1 / 21)


def test_a_night_before_the_first_event_is_out_of_range(shop):
    shop.log(*visits(1))
    run_range("2026-03-01", "2026-03-01")
    with pytest.raises(NightOutOfRange, match=r"before the first event \(2026-03-01 17:00 UTC.*2026-03-01\)"):
        check_data.run(shop.job("2026-02-28"))


def test_a_lake_without_events_is_empty(shop):
    run_range("2026-03-01", "2026-03-02")
    with pytest.raises(EmptyPartition, match="no events: extract"):
        check_data.run(shop.job("2026-03-02"))


def test_a_night_whose_day_was_not_extracted_names_the_step(shop):
    shop.log(*visits(9))
    run_range("2026-03-01", "2026-03-09")
    with pytest.raises(EmptyPartition, match="extract_events"):
        check_data.run(shop.job("2026-03-10"))


def test_no_catalogue_stops_the_night(shop):
    shop.log(*visits(10))
    run_range("2026-03-01", "2026-03-10", catalogue=False)
    with pytest.raises(EmptyPartition, match="catalogue"):
        check_data.run(shop.job("2026-03-10"))


def test_too_little_history_says_how_much_is_needed(shop):
    shop.log(*visits(7))
    run_range("2026-03-01", "2026-03-07")
    with pytest.raises(DataError, match=r"last 7 days.*at least 8 days"):
        check_data.run(shop.job("2026-03-07"))


def test_one_user_is_not_enough(shop):
    shop.log(*visits(10, users=("ann",)))
    run_range("2026-03-01", "2026-03-10")
    with pytest.raises(DataError, match="has 1 user in its training events"):
        check_data.run(shop.job("2026-03-10"))


def test_what_came_after_the_night_is_not_counted(shop):
    shop.log(*visits(12))
    run_range("2026-03-01", "2026-03-12")
    extract_items.run(shop.job("2026-03-12"))
    live = check_data.run(shop.job("2026-03-10"))
    extract_events.run(shop.job("2026-03-11"))
    assert live["events_total"] == 20
    assert check_data.run(shop.job("2026-03-10")) == live
