import json
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_tasks.calendar import days_between, night_of
from recsys_tasks.lake import event_days
from recsys_tasks.lake.records import DayFacts
from recsys_tasks.lake.snapshot import EVENT_ORDER
from recsys_tasks.lake.tables import Lake
from recsys_tasks.schema import Events
from tests.lake.builders import NEW_YORK, events, filled, night, write_day


def test_what_was_written_is_read_in_the_total_order_and_fulfils_the_contract(lake):
    write_day(
        lake,
        "2026-03-02",
        ("bob", "tent", "2026-03-02T18:00:00"),
        ("ann", "tent", "2026-03-02T18:00:00"),
        ("zoe", "mat", "2026-03-02T17:00:00"),
        ("ann", "bag", "2026-03-02T18:00:00"),
    )
    log = lake.snapshot(datetime(2026, 3, 4, tzinfo=UTC)).events
    Events.validate(log)
    assert log.select("user_id", "item_id").rows() == [
        ("zoe", "mat"),
        ("ann", "bag"),
        ("ann", "tent"),
        ("bob", "tent"),
    ]
    assert log.equals(log.sort(EVENT_ORDER))


@pytest.mark.parametrize(
    ("day", "first_second", "last_second"),
    [
        ("2026-03-08", "2026-03-08T05:00:00", "2026-03-09T03:59:59"),  # 23 hours: clocks go forward
        ("2026-11-01", "2026-11-01T04:00:00", "2026-11-02T04:59:59"),  # 25 hours
        ("2026-07-01", "2026-07-01T04:00:00", "2026-07-02T03:59:59"),
    ],
)
def test_a_business_day_holds_its_first_and_its_last_second(lake, day, first_second, last_second):
    write_day(lake, day, ("ann", "tent", first_second), ("ann", "bag", last_second))
    assert lake.day_record(date.fromisoformat(day)).rows == 2


@pytest.mark.parametrize("at", ["2026-03-08T04:59:59", "2026-03-09T04:00:00"])
def test_an_event_of_another_day_is_refused_and_nothing_is_written(lake, at):
    with pytest.raises(ValueError, match="outside 2026-03-08"):
        write_day(lake, "2026-03-08", ("ann", "tent", at))
    assert lake.days() == []


def test_writing_a_day_again_replaces_it_and_leaves_its_neighbours(tmp_path):
    lake = filled(tmp_path)
    write_day(lake, "2026-03-02", ("bob", "stove", "2026-03-02T17:00:00"))
    log = lake.snapshot(datetime(2026, 4, 1, tzinfo=UTC)).events
    assert log["item_id"].to_list() == ["tent 2026-03-01", "stove", "tent 2026-03-03"]


def test_a_rerun_gives_the_same_fingerprint_whatever_the_order_of_the_rows(lake):
    rows = [("ann", "tent", "2026-03-02T17:00:00"), ("bob", "bag", "2026-03-02T18:00:00")]
    write_day(lake, "2026-03-02", *rows)
    before = lake.day_record(date(2026, 3, 2))
    write_day(lake, "2026-03-02", *reversed(rows))
    assert lake.day_record(date(2026, 3, 2)) == before


def test_late_rows_change_the_fingerprint_of_their_day_only(tmp_path):
    lake = filled(tmp_path)
    before = {day: lake.day_record(day).fingerprint for day in lake.days()}
    write_day(
        lake,
        "2026-03-02",
        ("ann", "tent 2026-03-02", "2026-03-02T17:00:00"),
        ("bob", "bag", "2026-03-02T17:00:00"),
    )
    after = {day: lake.day_record(day).fingerprint for day in lake.days()}
    assert {day for day in before if before[day] != after[day]} == {date(2026, 3, 2)}


def test_an_empty_day_is_recorded_and_its_old_rows_are_gone(tmp_path):
    lake = filled(tmp_path)
    write_day(lake, "2026-03-02")
    assert lake.day_record(date(2026, 3, 2)).rows == 0
    assert lake.events_between(night("2026-03-02").start, night("2026-03-02").as_of).is_empty()


def test_a_day_keeps_what_extraction_counted(lake):
    day = date(2026, 3, 2)
    facts = DayFacts(read=9, rejected={"user_id|nullability": 1}, filtered={"cancelled": 2})
    lake.write_days(day, day, NEW_YORK, events(), {day: facts})
    record = lake.day_record(day)
    assert (record.read, record.rejected, record.filtered) == (9, facts.rejected, facts.filtered)
    assert lake.day_record(day + timedelta(days=1)) is None


def test_the_first_event_is_found(tmp_path):
    assert filled(tmp_path).first_event() == datetime(2026, 3, 1, 17, tzinfo=UTC)


AT = st.datetimes(datetime(2026, 3, 6), datetime(2026, 3, 10)).map(lambda at: at.replace(tzinfo=UTC))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(log=st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), AT), max_size=12))
def test_day_by_day_or_in_one_range_is_the_same_lake(log, tmp_path_factory):
    frame = events(*((user, item, at.replace(tzinfo=None).isoformat()) for user, item, at in log))
    first, last = date(2026, 3, 5), date(2026, 3, 10)
    whole, split = (Lake(tmp_path_factory.mktemp("lake")) for _ in range(2))
    whole.write_days(first, last, NEW_YORK, frame, {})
    for day in days_between(first, last):
        own = pl.Series([night_of(at, NEW_YORK) == day for at in frame["occurred_at"]], dtype=pl.Boolean)
        split.write_days(day, day, NEW_YORK, Events.cast(frame.filter(own)), {})
    assert {d: whole.day_record(d) for d in whole.days()} == {d: split.day_record(d) for d in split.days()}
    assert whole.snapshot(night("2026-03-10").as_of).events.equals(
        split.snapshot(night("2026-03-10").as_of).events
    )


@pytest.mark.parametrize("asked", ["for the night", "for the day"])
@pytest.mark.parametrize("crash_at", ["replace_rows", "write_record"])
def test_a_crash_beside_the_commit_leaves_a_day_that_is_known_by_its_rows(
    tmp_path, monkeypatch, crash_at, asked
):
    lake, day = filled(tmp_path), date(2026, 3, 2)
    before, record = lake.state(night("2026-03-03")), lake.day_record(day)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(event_days, crash_at, killed)
        with pytest.raises(KeyboardInterrupt):
            write_day(lake, "2026-03-02", ("ann", "tent 2026-03-02", "2026-03-02T17:00:00"))
    assert day not in lake.days()
    if asked == "for the night":
        assert lake.state(night("2026-03-03")) == before
    assert lake.day_record(day) == replace(record, read=1)
    assert day in lake.days()
    assert lake.state(night("2026-03-03")) == before


def test_a_lake_that_was_copied_without_its_locks_loses_no_day(tmp_path):
    lake = filled(tmp_path)
    before = lake.state(night("2026-03-03"))
    shutil.rmtree(tmp_path / "locks")
    (tmp_path / "days" / "2026-03-02.json").unlink()
    assert lake.state(night("2026-03-03")) == before


def test_records_are_plain_json(tmp_path):
    filled(tmp_path)
    record = json.loads((tmp_path / "days" / "2026-03-01.json").read_text())
    assert set(record) == {"rows", "read", "rejected", "filtered", "fingerprint"}
