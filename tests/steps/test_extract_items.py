from datetime import date

import pytest

from recsys_tasks.errors import EmptyPartition, NightOutOfRange, TooManyBadRows
from recsys_tasks.steps import extract_items
from tests.steps.log_shop import LogShop, make_log_shop


@pytest.fixture
def shop(tmp_path, monkeypatch) -> LogShop:
    return make_log_shop(tmp_path, monkeypatch)


def test_each_night_adds_what_changed(shop):
    shop.products(("a", "Tent"), ("b", "Mat"))
    first = extract_items.run(shop.job("2026-03-08"))
    assert (first["total"], first["added"], first["assumed"]) == (2, 2, True)
    shop.products(("c", "Stove"))
    second = extract_items.run(shop.job("2026-03-09"))
    assert (second["total"], second["added"], second["assumed"]) == (3, 1, False)
    assert shop.job("2026-03-08").lake.catalogue(shop.job("2026-03-08").night.as_of).height == 2


def test_an_older_night_leaves_history_as_it_is(shop):
    shop.products(("a", "Tent"))
    extract_items.run(shop.job("2026-03-08"))
    assert extract_items.run(shop.job("2026-03-01"))["skipped"]


def test_a_catalogue_behind_the_end_of_the_log_is_not_taken(tmp_path, monkeypatch):
    """Recorded as of such a day, it would keep out that of every night of the log."""
    shop = make_log_shop(tmp_path, monkeypatch, last_night=date(2026, 3, 8))
    shop.products(("a", "Tent"))
    with pytest.raises(NightOutOfRange, match="log ends with 2026-03-08"):
        extract_items.run(shop.job("2026-03-09"))
    assert not extract_items.run(shop.job("2026-03-08"))["skipped"]


def test_an_empty_catalogue_stops_and_the_last_one_stays(shop):
    shop.products(("a", "Tent"))
    extract_items.run(shop.job("2026-03-08"))
    before = shop.job("2026-03-08").lake.versions()
    shop.forget("products")
    with pytest.raises(EmptyPartition, match=r"catalogue is empty.*FROM products.*gave 0 rows"):
        extract_items.run(shop.job("2026-03-09"))
    assert shop.job("2026-03-08").lake.versions() == before


def test_too_many_items_without_id_stop_before_the_lake_is_touched(shop):
    shop.products(("a", "Tent"), (None, "Mat"))
    with pytest.raises(TooManyBadRows, match=r"1 of 2 items rows.*item_id\|nullability 1"):
        extract_items.run(shop.job("2026-03-08"))
    assert not shop.lake.exists()
