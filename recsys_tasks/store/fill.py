"""
Write a generation's lists into the database, inside the caller's transaction.

PostgreSQL: a table of its own, filled by binary COPY, indexed, then attached as a partition, so that readers never
wait. SQLite: batches of rows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl
from psycopg import sql
from sqlalchemy import Connection, Table, text

from recsys_tasks.store.connect import is_postgresql
from recsys_tasks.store.copy_block import CLOSING, FIELDS, OPENING, copy_block
from recsys_tasks.store.json_rows import COLUMNS, Row, json_rows
from recsys_tasks.store.parts import ahead, parts
from recsys_tasks.store.shards import Shard
from recsys_tasks.store.tables import LISTS, TEXTS
from recsys_tasks.store.texts import Texts

INSERT = f"INSERT INTO packed_lists ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608
INSERT_TEXTS = text(
    "INSERT INTO list_texts (generation_id, code, text) SELECT :generation_id, code, text"
    " FROM unnest(CAST(:codes AS bytea[]), CAST(:texts AS text[])) AS new (code, text)"
)


@dataclass(frozen=True)
class Filling:
    """Lists on their way into a generation, and who counts them."""

    generation_id: int
    surface: str
    lists: Iterator[pl.DataFrame]
    count: Callable[[Shard], None]


def partition(lists: Table, generation_id: int) -> str:
    """The PostgreSQL table of a generation."""
    return f"{lists.name}_g{generation_id}"


def fill(connection: Connection, filling: Filling) -> None:
    (_fill_postgresql if is_postgresql(connection) else _fill_sqlite)(connection, filling)


def _fill_postgresql(connection: Connection, filling: Filling) -> None:
    table = partition(LISTS, filling.generation_id)
    # A check that says what the partition's bounds say spares ATTACH a scan of the table. A row of a usual length stays
    # in its page as it is: to compress it costs more than to store it.
    check = f"CONSTRAINT of_generation CHECK (generation_id = {filling.generation_id})"
    storage = "WITH (toast_tuple_target = 8160)"
    connection.execute(text(f"CREATE TABLE {table} (LIKE packed_lists INCLUDING STORAGE, {check}) {storage}"))
    connection.execute(text(f"ALTER TABLE {table} ALTER generation_id SET DEFAULT {filling.generation_id}"))
    # Nobody asks for what an array holds: statistics of them would cost as much as the index.
    unasked = ", ".join(f"ALTER {column} SET STATISTICS 0" for column in FIELDS[2:])
    connection.execute(text(f"ALTER TABLE {table} {unasked}, ALTER subject_id SET STATISTICS 10"))
    _copy(connection, filling, table)
    key = "PRIMARY KEY (generation_id, subject_id, surface)"
    connection.execute(text(f"ALTER TABLE {table} ADD CONSTRAINT pk_{table} {key}"))
    connection.execute(text(f"ANALYZE {table} (subject_id)"))
    bounds = f"FOR VALUES IN ({filling.generation_id})"
    connection.execute(text(f"ALTER TABLE packed_lists ATTACH PARTITION {table} {bounds}"))


def _copy(connection: Connection, filling: Filling, table: str) -> None:
    driver: Any = connection.connection.driver_connection
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary, FREEZE)").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, FIELDS))
    )
    for texts, frames in parts(filling.lists):

        def block(shard: Shard, texts: Texts = texts) -> bytes:
            filling.count(shard)
            return copy_block(shard, filling.surface, texts)

        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(OPENING)
            # The server reads while the next block is made.
            for rows in ahead(block, map(Shard.of, frames)):
                copy.write(rows)
            copy.write(CLOSING)
        _keep(connection, filling.generation_id, texts)


def _fill_sqlite(connection: Connection, filling: Filling) -> None:
    driver: Any = connection.connection.driver_connection
    for texts, frames in parts(filling.lists):

        def rows(shard: Shard, texts: Texts = texts) -> Iterator[Row]:
            filling.count(shard)
            return json_rows(shard, filling.generation_id, filling.surface, texts)

        for some in ahead(rows, map(Shard.of, frames)):
            driver.executemany(INSERT, some)
        _keep(connection, filling.generation_id, texts)


def _keep(connection: Connection, generation_id: int, texts: Texts) -> None:
    columns = texts.table()
    if is_postgresql(connection):
        connection.execute(INSERT_TEXTS, {"generation_id": generation_id, **columns})
    elif rows := list(zip(*columns.values(), strict=True)):
        made = [{"generation_id": generation_id, "code": code, "text": words} for code, words in rows]
        connection.execute(TEXTS.insert(), made)
