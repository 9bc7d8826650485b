from datetime import date

import pytest
from deltalake import DeltaTable

from recsys_tasks.errors import MissingArtefact
from recsys_tasks.lake.past import PastLake
from recsys_tasks.lake.tables import Lake
from tests.lake.builders import filled, items, night, write_day

LATER = night("2026-03-03")


@pytest.fixture
def lake(tmp_path):
    lake = filled(tmp_path)
    lake.write_items(items(tent="red tent"), night("2026-03-02"))
    return lake


def corrected(lake):
    """A day is corrected, a day is added, the catalogue is taken again; returns the lake as it was."""
    past = PastLake(lake.folder, at=lake.versions())
    write_day(lake, "2026-03-02", ("bob", "stove", "2026-03-02T17:00:00"))
    write_day(lake, "2026-03-04", ("bob", "stove", "2026-03-04T17:00:00"))
    lake.write_items(items(tent="blue tent"), night("2026-03-02"))
    return past


def test_an_old_version_tells_a_night_what_the_lake_told_it(lake):
    told, log = lake.state(LATER), lake.snapshot(LATER.as_of)
    past = corrected(lake)
    assert lake.state(LATER) != told
    assert past.state(LATER) == told
    assert past.snapshot(LATER.as_of).events.equals(log.events)
    assert past.snapshot(LATER.as_of).items.equals(log.items)


def test_a_day_that_was_written_since_is_found_by_its_rows_and_the_others_by_their_record(lake):
    before = {day: lake.day_record(day) for day in lake.days()}
    past = corrected(lake)
    assert past.days() == sorted(before)
    for day, record in before.items():
        assert past.day_record(day).fingerprint == record.fingerprint
        assert past.day_record(day).rows == record.rows
    assert past.day_record(date(2026, 3, 4)) is None


def test_a_day_that_is_written_while_an_old_version_is_read_is_still_the_old_one(lake, monkeypatch):
    """Between two looks of one reader, and between its look at the record and at the table."""
    told = lake.state(LATER)
    past = PastLake(lake.folder, at=lake.versions())
    assert past.state(LATER) == told
    write_day(lake, "2026-03-02", ("bob", "stove", "2026-03-02T17:00:00"))
    assert past.state(LATER) == told
    read = Lake.day_record

    def overtaken(self, day):
        if str(day) == "2026-03-03":
            write_day(lake, "2026-03-03", ("bob", "stove", "2026-03-03T17:00:00"))
        return read(self, day)

    monkeypatch.setattr(Lake, "day_record", overtaken)
    assert past.state(LATER) == told


def test_a_day_that_was_empty_then_tells_nothing(lake):
    write_day(lake, "2026-03-05")
    told = lake.state(night("2026-03-06"))
    past = PastLake(lake.folder, at=lake.versions())
    write_day(lake, "2026-03-05", ("bob", "stove", "2026-03-05T17:00:00"))
    assert past.state(night("2026-03-06")) == told


def test_an_old_version_cannot_be_written(lake):
    with pytest.raises(ValueError, match="cannot be written"):
        write_day(corrected(lake), "2026-03-05")


def test_vacuum_keeps_what_may_be_replayed(lake):
    told = lake.state(LATER)
    past = corrected(lake)
    assert lake.vacuum(keep_days=7) == 0
    assert past.state(LATER) == told


def test_vacuum_deletes_what_was_replaced_before_and_nothing_that_is_read_now(lake):
    past = corrected(lake)
    told = lake.state(LATER)
    assert lake.vacuum(keep_days=0) == 2
    assert lake.state(LATER) == told
    with pytest.raises(MissingArtefact, match="1 of its files were vacuumed away"):
        past.snapshot(LATER.as_of)


def test_a_version_that_never_was_is_missed(lake):
    with pytest.raises(MissingArtefact, match="version 99 of the table events is not kept"):
        PastLake(lake.folder, at={"events": 99, "items": 1}).days()


def test_tables_remember_their_versions_for_as_long_as_a_horizon_can_be(lake):
    for table in ("events", "items"):
        kept = DeltaTable(lake.folder / table).metadata().configuration
        assert kept["delta.logRetentionDuration"] == kept["delta.deletedFileRetentionDuration"]
        assert kept["delta.logRetentionDuration"] == "interval 3650 days"


def test_a_table_of_an_earlier_release_learns_it_from_its_first_vacuum(lake):
    table = DeltaTable(lake.folder / "events")
    table.alter.set_table_properties({"delta.logRetentionDuration": "interval 30 days"})
    lake.vacuum(keep_days=90)
    kept = DeltaTable(lake.folder / "events").metadata().configuration
    assert kept["delta.logRetentionDuration"] == "interval 3650 days"
