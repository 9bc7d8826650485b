"""
Write a generation's lists into the database, inside the caller's transaction.

PostgreSQL: a table of its own, filled by binary COPY, indexed, then attached as a partition, so that readers never
wait. SQLite: rows of one table.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import polars as pl
from psycopg import sql
from sqlalchemy import Connection, Table, text

from recsys_tasks.store.coded_rows import (
    INSERT_ITEMS,
    INSERT_LISTS,
    INSERT_TEXTS,
    Values,
    list_values,
    text_values,
)
from recsys_tasks.store.coded_tables import item_ids
from recsys_tasks.store.connect import is_postgresql
from recsys_tasks.store.copy_block import CLOSING, FIELDS, OPENING, copy_block
from recsys_tasks.store.parts import made
from recsys_tasks.store.shards import Shard
from recsys_tasks.store.tables import LISTS
from recsys_tasks.store.texts import Texts

INSERT_ARRAYS = text(
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

    def block(words: Texts, shard: Shard) -> bytes:
        filling.count(shard)
        return copy_block(shard, filling.surface, words)

    for words, blocks in made(filling.lists, Texts(), block):
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(OPENING)
            # The server reads while the next block is made.
            for rows in blocks:
                copy.write(rows)
            copy.write(CLOSING)
        arrays = {"codes": words.codes_since(0).view("V4").tolist(), "texts": words.since(0).to_list()}
        connection.execute(INSERT_ARRAYS, {"generation_id": filling.generation_id, **arrays})


def _fill_sqlite(connection: Connection, filling: Filling) -> None:
    driver: Any = connection.connection.driver_connection

    def values(words: Texts, shard: Shard) -> list[Values]:
        filling.count(shard)
        return list(list_values(shard, filling.generation_id, filling.surface, words))

    items = Texts.of(pl.Series(item_ids(connection), dtype=pl.String))
    known = len(items)
    for words, blocks in made(filling.lists, items, values):
        for lists in chain.from_iterable(blocks):
            driver.execute(INSERT_LISTS, lists)
        driver.execute(INSERT_TEXTS, {"generation_id": filling.generation_id, **text_values(words)})
    driver.execute(INSERT_ITEMS, text_values(items, since=known))
