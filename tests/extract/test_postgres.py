"""What COPY gives is what a fetch row by row would give, only sooner."""

from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import psycopg
import pytest
from polars.testing import assert_frame_equal

from recsys_tasks.errors import SchemaMismatch, SourceError
from recsys_tasks.extract import postgres
from recsys_tasks.extract.sources import read
from tests.extract.builders import sql_source

START, END = datetime(2026, 3, 2, 5, tzinfo=UTC), datetime(2026, 3, 3, 5, tzinfo=UTC)
TEXTS = [
    "plain",
    "",
    None,
    'say "hi"',
    "a,b",
    "two\nlines",
    "\r\n",
    "\\N",
    "NULL",
    "\\.",
    "张伟 🥖",
    " blanks ",
    "'",
    "%s",
]
VALUES = {
    "text": TEXTS,
    "varchar(40)": TEXTS,
    "bigint": [1, -(2**63), 2**63 - 1, None],
    "smallint": [0, None, 7],
    "float8": [1.5, float("nan"), float("inf"), float("-inf"), 1e300, None, 0.1],
    "real": [1.5, 0.1, None],
    "numeric(12,2)": [Decimal("9.50"), Decimal("-0.01"), None],
    "boolean": [True, False, None],
    "date": [date(2026, 3, 2), date(1, 1, 1), None],
    "timestamp": [datetime(2026, 3, 2, 5, 1, 2, 345678), datetime(1890, 1, 1), None],
    "timestamptz(6)": [
        datetime(2026, 3, 8, 6, 59, 59, 999_999, tzinfo=UTC),
        datetime(2026, 3, 8, 7, tzinfo=UTC),
        datetime(2026, 11, 1, 5, 30, 0, 120_000, tzinfo=UTC),
        datetime(1999, 12, 31, 23, 59, 59, 1, tzinfo=UTC),
        None,
    ],
    "timestamptz": [datetime(2026, 3, 2, 5, tzinfo=UTC), datetime(2026, 7, 2, 5, 0, 0, 1, tzinfo=UTC), None],
    "uuid": ["3f0e3a52-9f3d-4d0c-8f5e-0d6a3c1b2a19", None],
    "numeric": [Decimal("5.00"), Decimal("123456789012345678901234"), None],
    "jsonb": ['{"a": 1}', None],
    "text[]": [["a", "b"], None],
}
FETCHED = ("numeric", "jsonb", "text[]")


@pytest.fixture
def shop(fresh_postgres_url, monkeypatch):
    monkeypatch.setenv("SHOP_URL", fresh_postgres_url)
    with psycopg.connect(fresh_postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        yield connection


def source(query="SELECT * FROM log WHERE at >= :start AND at < :end", **changed):
    columns = {"user_id": "who", "item_id": "who", "occurred_at": "at"}
    return sql_source("SHOP_URL", query=query, columns=columns, event_types={}, event_type="view", **changed)


def fetched(monkeypatch, *arguments):
    """The same, row by row."""
    with monkeypatch.context() as patch:
        patch.setattr(postgres, "copied", lambda *_: None)
        return read(*arguments)


def fill(shop, kind, values):
    shop.execute(f"CREATE TABLE log (who {kind}, place int, at timestamptz)")
    with shop.cursor() as cursor:
        rows = [(value, place, START) for place, value in enumerate(values)]
        cursor.executemany(f"INSERT INTO log VALUES (%s::{kind}, %s, %s)", rows)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize("kind", VALUES)
def test_every_type_comes_as_it_would_row_by_row(shop, monkeypatch, kind, zone):
    fill(shop, kind, VALUES[kind])
    given = source(time_zone=zone)
    found, expected = read(given, START, END), fetched(monkeypatch, given, START, END)
    same = {name: dtype for name, dtype in expected.schema.items() if not isinstance(dtype, pl.Decimal)}
    assert {name: found.schema[name] for name in same} == same
    assert_frame_equal(found, expected, check_row_order=False, check_dtypes=kind != "numeric(12,2)")


@pytest.mark.parametrize("kind", VALUES)
def test_what_text_does_not_carry_is_left_to_a_fetch(shop, fresh_postgres_url, kind):
    fill(shop, kind, VALUES[kind])
    assert (postgres.copied(shop, "SELECT * FROM log") is None) == (kind in FETCHED)


@pytest.mark.parametrize("kind", ["timestamp", "timestamptz", "date"])
@pytest.mark.parametrize("value", ["infinity", "-infinity", "0044-03-15 BC", "20260-01-01"])
def test_a_time_that_no_calendar_here_knows_is_left_to_a_fetch_and_the_connection_lives(shop, kind, value):
    fill(shop, kind, ["2026-03-02", value])
    assert postgres.copied(shop, "SELECT * FROM log") is None
    assert shop.execute("SELECT 1").fetchone() == (1,)


def test_many_blocks_are_one_frame(shop, monkeypatch):
    monkeypatch.setattr(postgres, "BLOCK_BYTES", 100)
    shop.execute(
        "CREATE TABLE log AS SELECT 'u' || n AS who, timestamptz '2026-03-02 12:00Z' AS at"
        " FROM generate_series(1, 999) n"
    )
    frame = read(source(), START, END)
    assert sorted(frame["who"]) == sorted(f"u{n}" for n in range(1, 1000))


def test_the_order_of_the_query_is_kept(shop, monkeypatch):
    fill(shop, "int", [3, 1, 2])
    query = "SELECT who, at FROM log WHERE at >= :start AND at < :end ORDER BY who DESC; "
    assert read(source(query), START, END)["who"].to_list() == [3, 2, 1]


@pytest.mark.parametrize(
    "query",
    [
        "WITH days AS (SELECT * FROM log) SELECT who, at FROM days WHERE at >= :start AND at < :end -- the log",
        "SELECT who, at::timestamptz FROM log WHERE at BETWEEN :start AND :end AND 5 % 2 = 1",
        r"SELECT who, at, E'\:x' FROM log WHERE at >= :start AND at < :end",
    ],
)
def test_queries_of_every_form(shop, monkeypatch, query):
    fill(shop, "text", ["ann"])
    found = read(source(query), START, END)
    assert_frame_equal(found, fetched(monkeypatch, source(query), START, END))


def test_no_rows_have_columns_and_types(shop):
    fill(shop, "bigint", [])
    assert read(source(), START, END).schema == {
        "who": pl.Int64(),
        "place": pl.Int64(),
        "at": pl.Datetime("us", "UTC"),
    }


@pytest.mark.parametrize(
    ("query", "error", "says"),
    [
        ("SELECT who FROM lag WHERE :start < :end", SourceError, 'relation "lag" does not exist'),
        ("SELEKT who WHERE :start < :end", SourceError, 'syntax error at or near "SELEKT"'),
        ("SELECT who, 1 / place, at FROM log WHERE :start < :end", SourceError, "division by zero"),
        ("SELECT who, who FROM log WHERE :start < :end", SchemaMismatch, "two columns of one name: who, who"),
    ],
)
def test_what_the_server_complains_about_is_passed_on(shop, query, error, says):
    fill(shop, "text", ["ann"])
    with pytest.raises(error, match=says):
        read(source(query), START, END)
