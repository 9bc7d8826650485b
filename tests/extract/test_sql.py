from datetime import UTC, datetime

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from recsys_tasks.errors import SchemaMismatch, SettingsError, SourceError
from recsys_tasks.extract import sql
from recsys_tasks.extract.sources import read
from tests.extract.builders import QUERY, database, row, sql_source

START, END = datetime(2026, 3, 2, 5, tzinfo=UTC), datetime(2026, 3, 3, 5, tzinfo=UTC)
SECRET = "hunter2"


def times(rows: list[str], folder, **changed: object) -> list[str]:
    url = database(folder / "shop.db", [row(at=at) for at in rows])
    return read(sql_source(url, **changed), START, END)["at"].to_list()


def test_the_query_is_bound_to_utc_text_with_an_exclusive_end(tmp_path):
    edges = ["2026-03-02 04:59:59", "2026-03-02 05:00:00", "2026-03-03 04:59:59", "2026-03-03 05:00:00"]
    assert times(edges, tmp_path) == edges[1:3]


def test_text_without_zone_is_compared_in_the_zone_it_is_written_in(tmp_path):
    edges = ["2026-03-01 23:59:59", "2026-03-02 00:00:00", "2026-03-02 23:59:59", "2026-03-03 00:00:00"]
    assert times(edges, tmp_path, time_zone="America/New_York") == edges[1:3]


def test_many_batches_are_one_frame_whatever_sqlite_keeps_in_a_column(tmp_path, monkeypatch):
    monkeypatch.setattr(sql, "BATCH_ROWS", 2)
    kept = [1, 2, None, None, 2.5, 3, "four", 5]
    url = database(tmp_path / "shop.db", [row(at="2026-03-02 12:00:00", who=who) for who in kept])
    frame = read(sql_source(url), START, END)
    assert frame["who"].to_list() == ["1", "2", None, None, "2.5", "3.0", "four", "5"]


def test_no_rows_still_have_their_columns(tmp_path):
    url = database(tmp_path / "shop.db", [row(at="2020-01-01 00:00:00")])
    assert read(sql_source(url), START, END).columns == ["who", "what", "did", "at"]


def test_a_missing_database_file_is_an_error_and_is_not_created(tmp_path):
    file = tmp_path / "none.db"
    with pytest.raises(SourceError, match=r"none\.db"):
        read(sql_source(f"sqlite:///{file}"), START, END)
    assert not file.exists()


def test_a_variable_that_is_not_set_is_named(monkeypatch):
    monkeypatch.delenv("SHOP_URL", raising=False)
    with pytest.raises(SettingsError, match=r"sources\.events\.url.*SHOP_URL is not set"):
        read(sql_source("SHOP_URL"), START, END)


@pytest.mark.parametrize(
    ("url", "error"),
    [
        (f"postgresql+psycopg://shop:{SECRET}@127.0.0.1:1/shop?connect_timeout=1", SourceError),
        (f"postgres://shop:{SECRET}@127.0.0.1:1/shop?connect_timeout=1", SourceError),
        (f"postgresql://shop@127.0.0.1:1/shop?connect_timeout=1&password={SECRET}", SourceError),
        (f"nonsense://shop:{SECRET}@host/shop", SettingsError),
        (f"postgresql+unheard://shop:{SECRET}@host/shop", SettingsError),
        (f"mysql+pymysql://shop:{SECRET}@host/shop", SettingsError),
        (f"no url but {SECRET}", SettingsError),
        (f"postgresql://shop:{SECRET}@host:port/shop", SettingsError),
        (f"postgresql://shop:p@{SECRET}@127.0.0.1:1/shop", SettingsError),
        (f"postgresql://shop:p@ss:{SECRET}@127.0.0.1:1/shop", SettingsError),
    ],
)
def test_no_error_shows_the_password(monkeypatch, url, error):
    monkeypatch.setenv("SHOP_URL", url)
    with pytest.raises(error) as refused:
        read(sql_source("SHOP_URL"), START, END)
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None or refused.value.__suppress_context__


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("postgresql://shop:hunt%40er2@127.0.0.1:1/shop", "hunt@er2"),
        ("postgresql://shop@127.0.0.1:1/shop?password=hunt%40er2", "hunt@er2"),
        ("postgresql://shop:hunt%40er2@127.0.0.1:1/shop", "hunt%40er2"),
    ],
)
def test_a_driver_that_repeats_a_secret_is_not_quoted_with_it(monkeypatch, url, secret):
    def connect(*_args, **_kwargs):
        raise psycopg.OperationalError(f"cannot connect with {secret}")

    monkeypatch.setattr(psycopg, "connect", connect)
    monkeypatch.setattr(psycopg.Connection, "connect", connect)
    monkeypatch.setenv("SHOP_URL", url)
    with pytest.raises(SourceError, match=r"cannot connect with \*\*\*"):
        read(sql_source("SHOP_URL"), START, END)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("SELECT * FROM lag WHERE at >= :start AND at < :end", "no such table: lag"),
        ("SELEKT :start :end", "syntax error"),
    ],
)
def test_what_the_database_complains_about_is_passed_on(tmp_path, query, says):
    url = database(tmp_path / "shop.db", [row()])
    with pytest.raises(SourceError, match=says):
        read(sql_source(url, query=query), START, END)


def test_two_columns_of_one_name_are_refused(tmp_path):
    url = database(tmp_path / "shop.db", [row()])
    with pytest.raises(SchemaMismatch, match="two columns of one name: who, who"):
        read(sql_source(url, query="SELECT who, who FROM log WHERE :start < :end"), START, END)


def test_a_missing_column_is_named_with_the_query(tmp_path):
    url = database(tmp_path / "shop.db", [row()])
    with pytest.raises(SchemaMismatch, match=r"query 'SELECT who.*no column 'what' \(found: who\)"):
        read(sql_source(url, query="SELECT who FROM log WHERE :start < :end"), START, END)


@pytest.mark.parametrize(
    ("column", "time_zone"), [("timestamptz", "UTC"), ("timestamp", "America/New_York"), ("timestamp", "UTC")]
)
def test_postgresql_compares_instants_with_and_without_zone(
    fresh_postgres_url, monkeypatch, column, time_zone
):
    engine = create_engine(fresh_postgres_url, poolclass=NullPool)
    edges = [
        "2026-03-02 04:59:59Z",
        "2026-03-02 05:00:00Z",
        "2026-03-03 04:59:59Z",
        "2026-03-03 05:00:00Z",
    ]
    with engine.begin() as connection:
        connection.execute(text("SELECT set_config('TimeZone', :zone, false)"), {"zone": time_zone})
        connection.execute(text(f"CREATE TABLE log (who uuid, what numeric, did text, at {column})"))
        written = "CAST(:at AS text)"
        insert = (
            f"INSERT INTO log VALUES (gen_random_uuid(), 5.00, {written}, CAST({written} AS timestamptz))"
        )
        connection.execute(text(insert), [{"at": at} for at in edges])
    monkeypatch.setenv("SHOP_URL", fresh_postgres_url)
    frame = read(sql_source("SHOP_URL", query=QUERY, time_zone=time_zone), START, END)
    assert frame["did"].to_list() == edges[1:3]
    assert len(frame["who"][0]) == 36
