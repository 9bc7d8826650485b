"""What one would do otherwise: a table with a row per recommendation, filled by SQLAlchemy core or by an upsert."""

from datetime import date
from time import perf_counter

import polars as pl
from sqlalchemy import REAL, Column, Connection, Date, Engine, Integer, MetaData, Table, Text, text

from benchmarks.publish.shop import FIRST_NIGHT, shards
from recsys_tasks.store.connect import writer

KEY = ("surface", "user_id", "rank")
COLUMNS = {
    "surface": Text,
    "user_id": Text,
    "rank": Integer,
    "item_id": Text,
    "score": REAL,
    "source": Text,
    "reason": Text,
    "night": Date,
    "model": Text,
    "run_id": Text,
}


def table(name: str, *, keyed: bool = True) -> Table:
    """The columns of the view ``recommendations``, as a table."""
    columns = [
        Column(column, kind, primary_key=keyed and column in KEY, nullable=False)
        for column, kind in COLUMNS.items()
    ]
    return Table(name, MetaData(), *columns)


def plain(frame: pl.DataFrame, night: date = FIRST_NIGHT) -> pl.DataFrame:
    """Lists with every column of the view."""
    facts = {"surface": "for_you", "night": night, "model": "model", "run_id": "run"}
    return frame.with_columns(**{name: pl.lit(value) for name, value in facts.items()}).select(*COLUMNS)


def core_insert_rate(engine: Engine, rows: int, top_k: int) -> float:
    """Rows a second of ``connection.execute(insert(table), rows)``: one transaction, the driver's executemany."""
    made = plain(pl.concat(shards(-(-rows // top_k), top_k, night=1))).head(rows).rows(named=True)
    return _insert_rate(engine, made, lambda connection, into: connection.execute(into.insert(), made))


def one_by_one_rate(engine: Engine, rows: int, top_k: int) -> float:
    """Rows a second where each row is an ``execute`` of its own, in one transaction."""
    made = plain(pl.concat(shards(-(-rows // top_k), top_k, night=1))).head(rows).rows(named=True)

    def insert(connection: Connection, into: Table) -> None:
        for row in made:
            connection.execute(into.insert(), row)

    return _insert_rate(engine, made, insert)


def _insert_rate(engine, made, insert) -> float:
    into = table("plain_rows")
    with writer(engine).begin() as connection:
        into.drop(connection, checkfirst=True)
        into.create(connection)
    begin = perf_counter()
    with writer(engine).begin() as connection:
        insert(connection, into)
    seconds = perf_counter() - begin
    with writer(engine).begin() as connection:
        into.drop(connection)
    return len(made) / seconds


UPSERT = """
INSERT INTO plain_live SELECT * FROM plain_staged
ON CONFLICT (surface, user_id, rank) DO UPDATE SET
    item_id = EXCLUDED.item_id, score = EXCLUDED.score, source = EXCLUDED.source, reason = EXCLUDED.reason,
    night = EXCLUDED.night, model = EXCLUDED.model, run_id = EXCLUDED.run_id
"""


def upsert_seconds(engine: Engine, users: int, top_k: int) -> float:
    """PostgreSQL: put tonight's rows, staged in a table already, in place of yesterday's; nothing else is timed."""
    staged, live = table("plain_staged", keyed=False), table("plain_live")
    with engine.begin() as connection:
        for made in (staged, live):
            made.drop(connection, checkfirst=True)
            made.create(connection)
        for name, night in (("plain_live", 0), ("plain_staged", 1)):
            for frame in shards(users, top_k, night):
                _copy(connection, name, plain(frame))
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("VACUUM ANALYZE plain_live"))
        connection.execute(text("ANALYZE plain_staged"))
    begin = perf_counter()
    with engine.begin() as connection:
        connection.execute(text(UPSERT))
    seconds = perf_counter() - begin
    with engine.begin() as connection:
        staged.drop(connection)
        live.drop(connection)
    return seconds


def _copy(connection: Connection, name: str, frame: pl.DataFrame) -> None:
    driver = connection.connection.driver_connection
    assert driver is not None
    with driver.cursor() as cursor, cursor.copy(f"COPY {name} FROM STDIN (FORMAT csv)") as copy:
        copy.write(frame.write_csv(include_header=False))
