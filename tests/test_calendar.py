from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_tasks.calendar import (
    Night,
    day_start,
    days_before,
    days_between,
    night_of,
    parse_night,
    require_past,
)
from recsys_tasks.errors import NightOutOfRange

NEW_YORK, SHANGHAI = ZoneInfo("America/New_York"), ZoneInfo("Asia/Shanghai")
zones = st.sampled_from(
    [
        "UTC",
        "America/New_York",
        "Asia/Shanghai",
        "Europe/London",
        "Asia/Kolkata",
        "Pacific/Apia",
        "America/Sao_Paulo",
    ]
).map(ZoneInfo)
dates = st.dates(date(1990, 1, 1), date(2035, 12, 31))
nights = st.builds(Night, dates, zones, st.integers(1, 30))
instants = st.datetimes(datetime(1990, 1, 1), datetime(2035, 12, 31), timezones=st.just(UTC))


def hours(night: Night) -> float:
    return (night.as_of - night.start) / timedelta(hours=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("why", "zone", "day", "start", "length"),
    [
        ("clocks go forward", NEW_YORK, date(2026, 3, 8), "2026-03-08 05:00", 23),
        ("clocks go back", NEW_YORK, date(2026, 11, 1), "2026-11-01 04:00", 25),
        ("an ordinary winter day", NEW_YORK, date(2026, 1, 15), "2026-01-15 05:00", 24),
        ("Shanghai has no summer time today", SHANGHAI, date(2026, 3, 29), "2026-03-28 16:00", 24),
        ("but had one, from midnight on", SHANGHAI, date(1988, 4, 17), "1988-04-16 16:00", 23),
        ("and to its end", SHANGHAI, date(1988, 9, 11), "1988-09-10 15:00", 25),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value and ":" not in value else "",
)
def test_a_business_day_is_as_long_as_the_shops_clock_says(why, zone, day, start, length):
    night = Night(day, zone)
    assert night.start == utc(start)
    assert hours(night) == length


def test_a_shop_in_shanghai_opens_its_day_while_utc_is_still_on_the_day_before():
    assert night_of(utc("2026-01-05 17:30"), SHANGHAI) == date(2026, 1, 6)
    assert night_of(utc("2026-01-05 17:30"), NEW_YORK) == date(2026, 1, 5)


def test_the_window_is_seven_business_days_also_across_a_change_of_clocks():
    night = Night(date(2026, 3, 10), NEW_YORK, gate_days=7)
    assert night.as_of == utc("2026-03-11 04:00")
    assert night.train_until == utc("2026-03-04 05:00")
    assert night.train_until == Night(date(2026, 3, 3), NEW_YORK).as_of


def test_the_days_after_a_night_end_at_a_midnight_of_the_shop():
    assert Night(date(2026, 10, 30), NEW_YORK).days_after_end(7) == utc("2026-11-07 05:00")


def test_days_before_keeps_the_time_of_day():
    assert days_before(utc("2026-03-11 04:00"), 7, NEW_YORK) == utc("2026-03-04 05:00")
    assert days_before(utc("2026-03-11 04:00"), 7, ZoneInfo("UTC")) == utc("2026-03-04 04:00")


@pytest.mark.parametrize("text", ["2026-02-30", "yesterday", "", "03/04/2026", "2026-1-5", None])
def test_what_is_no_date_is_refused(text):
    with pytest.raises(NightOutOfRange, match="YYYY-MM-DD"):
        parse_night(text)


@given(dates)
def test_a_night_reads_back_what_it_writes(day):
    assert parse_night(str(Night(day))) == day


def test_a_night_has_passed_from_its_last_instant_on():
    night = Night(date(2026, 1, 5), NEW_YORK)
    require_past(night, night.as_of)
    with pytest.raises(NightOutOfRange, match="2026-01-05 has not ended: it ends at 2026-01-06 05:00 UTC"):
        require_past(night, night.as_of - timedelta(microseconds=1))


def test_a_cadence_goes_by_date():
    due = [
        day.isoformat()
        for day in days_between(date(2017, 12, 1), date(2017, 12, 20))
        if Night(day).is_every(7)
    ]
    assert due == ["2017-12-03", "2017-12-10", "2017-12-17"]


def test_no_days_lie_between_a_day_and_an_earlier_one():
    assert list(days_between(date(2026, 1, 2), date(2026, 1, 1))) == []


@given(nights)
def test_nights_follow_each_other_without_gap_or_overlap(night):
    assert night.as_of == night.shift(1).start
    assert night.start <= night.as_of
    assert night.shift(3).shift(-3) == night


@given(instants, zones)
def test_every_instant_lies_in_exactly_the_night_it_falls_on(instant, zone):
    night = Night(night_of(instant, zone), zone)
    assert night.start <= instant < night.as_of


@given(nights, st.integers(0, 400))
def test_days_before_agrees_with_the_night(night, days):
    assert days_before(night.as_of, days, night.zone) == night.days_before_end(days)


@given(nights)
def test_the_window_holds_its_days_and_ends_with_the_night(night):
    assert night.train_until == night.shift(1 - night.gate_days).start
    assert night.days_before_end(0) == night.as_of == night.days_after_end(0)
    assert night.start.utcoffset() == night.train_until.utcoffset() == timedelta(0)


@given(dates, zones)
def test_a_day_starts_on_its_own_date(day, zone):
    local = day_start(day, zone).astimezone(zone)
    # Samoa left out the 30th of December 2011: that day is empty, and begins when the next one does.
    assert local.date() == day or (str(zone), day) == ("Pacific/Apia", date(2011, 12, 30))
