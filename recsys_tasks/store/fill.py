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

from recsys_tasks.store.coded_lists import COLUMNS
from recsys_tasks.store.coded_rows import INSERT_ITEMS, INSERT_LISTS, INSERT_TEXTS, list_values
from recsys_tasks.store.coded_tables import CODED_LISTS, item_ids
from recsys_tasks.store.connect import is_postgresql
from recsys_tasks.store.copy_block import CLOSING, FIELDS, OPENING, copy_block
from recsys_tasks.store.parts import made
from recsys_tasks.store.shards import Shard
from recsys_tasks.store.texts import Texts, Values, text_values

# PostgreSQL's; SQLite's stand with the other rows.
INSERT_LIST_TEXTS = text("""
INSERT INTO list_texts (generation_id, code, text)
SELECT :generation_id, substr(CAST(:codes AS bytea), 4 * place::integer - 3, 4), text
FROM json_array_elements_text(CAST(:texts AS json)) WITH ORDINALITY AS new (text, place)
""")
INSERT_CODED_ITEMS = text("""
INSERT INTO coded_items (code, item_id)
SELECT substr(CAST(:codes AS bytea), 4 * place::integer - 3, 4), text
FROM json_array_elements_text(CAST(:texts AS json)) WITH ORDINALITY AS new (text, place)
""")


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
    items = Texts.of(pl.Series(item_ids(connection), dtype=pl.String))
    (_fill_postgresql if is_postgresql(connection) else _fill_sqlite)(connection, filling, items)


def _fill_postgresql(connection: Connection, filling: Filling, items: Texts) -> None:
    table = partition(CODED_LISTS, filling.generation_id)
    # A check that says what the partition's bounds say spares ATTACH a scan of the table. A row of a usual length stays
    # in its page as it is: to compress it costs more than to store it.
    check = f"CONSTRAINT of_generation CHECK (generation_id = {filling.generation_id})"
    storage = "WITH (toast_tuple_target = 8160)"
    connection.execute(text(f"CREATE TABLE {table} (LIKE coded_lists INCLUDING STORAGE, {check}) {storage}"))
    connection.execute(text(f"ALTER TABLE {table} ALTER generation_id SET DEFAULT {filling.generation_id}"))
    # Nobody asks for what a list holds, and of shoppers the planner need only know that there are many: statistics of
    # more would cost as much as the index.
    unasked = ", ".join(f"ALTER {column} SET STATISTICS 0" for column in COLUMNS)
    connection.execute(text(f"ALTER TABLE {table} {unasked}, ALTER subject_id SET STATISTICS 1"))
    # The disk begins to write while lists are loaded; else the commit would wait for all of it.
    connection.execute(text("SET LOCAL backend_flush_after = '256kB'"))
    _copy(connection, filling, items, table)
    key = "PRIMARY KEY (generation_id, subject_id, surface)"
    connection.execute(text(f"ALTER TABLE {table} ADD CONSTRAINT pk_{table} {key}"))
    connection.execute(text(f"ANALYZE {table} (subject_id)"))
    bounds = f"FOR VALUES IN ({filling.generation_id})"
    connection.execute(text(f"ALTER TABLE coded_lists ATTACH PARTITION {table} {bounds}"))


def _copy(connection: Connection, filling: Filling, items: Texts, table: str) -> None:
    driver: Any = connection.connection.driver_connection
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary, FREEZE)").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, FIELDS))
    )

    def block(words: Texts, shard: Shard) -> bytes:
        filling.count(shard)
        return copy_block(shard, filling.surface, words)

    known = len(items)
    for words, blocks in made(filling.lists, items, block):
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(OPENING)
            # The server reads while the next block is made.
            for rows in blocks:
                copy.write(rows)
            copy.write(CLOSING)
        connection.execute(INSERT_LIST_TEXTS, {"generation_id": filling.generation_id, **text_values(words)})
    connection.execute(INSERT_CODED_ITEMS, text_values(items, since=known))


def _fill_sqlite(connection: Connection, filling: Filling, items: Texts) -> None:
    driver: Any = connection.connection.driver_connection

    def values(words: Texts, shard: Shard) -> list[Values]:
        filling.count(shard)
        return list(list_values(shard, filling.generation_id, filling.surface, words))

    known = len(items)
    for words, blocks in made(filling.lists, items, values):
        for lists in chain.from_iterable(blocks):
            driver.execute(INSERT_LISTS, lists)
        driver.execute(INSERT_TEXTS, {"generation_id": filling.generation_id, **text_values(words)})
    driver.execute(INSERT_ITEMS, text_values(items, since=known))
