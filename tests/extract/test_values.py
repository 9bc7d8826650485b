from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from recsys_tasks.extract.values import instant_of, number_of, optional_text_of, text_of


def text(values: list[Any], dtype: pl.DataType | None = None) -> list[str | None]:
    series = pl.Series("x", values, dtype)
    return pl.DataFrame([series]).select(text_of(pl.col("x"), series.dtype)).to_series().to_list()


def instants(
    values: list[Any], zone: str = "America/New_York", dtype: pl.DataType | None = None
) -> list[datetime | None]:
    series = pl.Series("x", values, dtype)
    return pl.DataFrame([series]).select(instant_of(pl.col("x"), series.dtype, zone)).to_series().to_list()


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([12345], ["12345"]),
        ([12345.0, None, 1.5, float("nan")], ["12345", None, "1.5", None]),
        ([Decimal("12345.00"), Decimal("0.50")], ["12345", "0.50"]),
        ([" tent ", "00123"], ["tent", "00123"]),
        ([True], ["true"]),
        ([2**60], [str(2**60)]),
    ],
)
def test_ids_read_as_people_write_them(values, found):
    assert text(values) == found


def test_an_empty_optional_text_is_missing():
    frame = pl.DataFrame({"x": ["a", " ", None]})
    assert frame.select(optional_text_of(pl.col("x"), pl.String())).to_series().to_list() == ["a", None, None]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-07-01 12:00:00", utc(2026, 7, 1, 16)),
        ("2026-07-01T12:00:00", utc(2026, 7, 1, 16)),
        ("2026-07-01 12:00", utc(2026, 7, 1, 16)),
        (" 2026-07-01 ", utc(2026, 7, 1, 4)),
        ("2026-07-01T12:00:00.250", utc(2026, 7, 1, 16, 0, 0, 250_000)),
        ("2026-07-01T12:00:00Z", utc(2026, 7, 1, 12)),
        ("2026-07-01 12:00:00+02:00", utc(2026, 7, 1, 10)),
        ("2026-07-01 12:00:00-0330", utc(2026, 7, 1, 15, 30)),
        ("2026-07-01 12:00:00+02", utc(2026, 7, 1, 10)),
        ("2026-07-01 12:00:00.5 +02:00", utc(2026, 7, 1, 10, 0, 0, 500_000)),
        ("yesterday", None),
        ("", None),
        ("2026-02-30 12:00:00", None),
        ("01/07/2026 12:00", None),
    ],
)
def test_iso_text_is_read_with_or_without_zone(written, meant):
    assert instants([written]) == [meant]


def test_one_column_may_mix_the_forms():
    assert instants(["2026-07-01", None, "2026-07-01T12:00:00Z", "x"]) == [
        utc(2026, 7, 1, 4),
        None,
        utc(2026, 7, 1, 12),
        None,
    ]


@pytest.mark.parametrize("form", [lambda at: at, lambda at: at.isoformat(" ")])
def test_a_time_the_clocks_show_twice_is_the_first_and_one_they_skip_is_an_hour_later(form):
    assert instants([form(datetime(2026, 11, 1, 1, 30))]) == [utc(2026, 11, 1, 5, 30)]
    assert instants([form(datetime(2026, 3, 8, 2, 30))]) == [utc(2026, 3, 8, 7, 30)]


def test_timestamps_and_dates_are_instants():
    assert instants([datetime(2026, 7, 1, 12, tzinfo=UTC)]) == [utc(2026, 7, 1, 12)]
    assert instants([datetime(2026, 7, 1, 12)], dtype=pl.Datetime("ns")) == [utc(2026, 7, 1, 16)]
    assert instants([date(2026, 7, 1)]) == [utc(2026, 7, 1, 4)]
    assert instants([None]) == [None]


@pytest.mark.parametrize(
    ("values", "found"),
    [([" 1.5 ", "x", ""], [1.5, None, None]), ([1.0, float("nan")], [1.0, None]), ([Decimal("2.50")], [2.5])],
)
def test_numbers_may_stand_as_text(values, found):
    series = pl.Series("x", values)
    number = number_of(pl.col("x"), series.dtype, pl.Float64())
    assert pl.DataFrame([series]).select(number).to_series().to_list() == found
