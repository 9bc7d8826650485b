from datetime import UTC, datetime

import pytest

from tests.lake.builders import filled, items, night, write_day


def test_an_empty_lake_knows_nothing(lake):
    assert lake.days() == []
    assert lake.first_event() is None
    snapshot = lake.snapshot(datetime(2026, 1, 1, tzinfo=UTC))
    assert (snapshot.events.height, snapshot.items.height) == (0, 0)


def test_creating_twice_changes_nothing(lake):
    lake.create()
    lake.create()
    assert lake.versions() == {"events": 0, "items": 0}


def test_a_snapshot_ends_before_its_instant(lake):
    write_day(
        lake, "2026-03-02", ("ann", "tent", "2026-03-02T17:00:00"), ("ann", "bag", "2026-03-02T17:00:01")
    )
    log = lake.snapshot(datetime(2026, 3, 2, 17, 0, 1, tzinfo=UTC)).events
    assert log["item_id"].to_list() == ["tent"]


def test_newer_days_and_catalogues_do_not_change_what_a_night_is_told(tmp_path):
    lake = filled(tmp_path)
    lake.write_items(items(tent="red tent"), night("2026-03-02"))
    before = lake.state(night("2026-03-02"))
    write_day(lake, "2026-03-03", ("bob", "stove", "2026-03-03T17:00:00"))
    write_day(lake, "2026-03-04")
    lake.write_items(items(tent="blue tent", bag="bag"), night("2026-03-03"))
    assert lake.state(night("2026-03-02")) == before


@pytest.mark.parametrize("day", ["2026-03-01", "2026-03-02"])
def test_a_corrected_day_changes_what_the_nights_behind_it_are_told(tmp_path, day):
    lake = filled(tmp_path)
    before = lake.state(night("2026-03-02"))["events"]
    write_day(lake, day, ("bob", "stove", f"{day}T17:00:00"))
    assert lake.state(night("2026-03-02"))["events"] != before


def test_an_empty_day_tells_as_much_as_one_never_extracted(tmp_path):
    lake = filled(tmp_path)
    before = lake.state(night("2026-03-05"))
    write_day(lake, "2026-03-04")
    assert lake.state(night("2026-03-05")) == before
