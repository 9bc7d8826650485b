"""
Load a generation of lists beside the live one, in one transaction: it is there whole or not at all.

PostgreSQL: a table of its own, filled by binary COPY, indexed, then attached as a partition, so that readers never
wait. SQLite: one batch insert. Shards stream through; memory does not grow with the number of shoppers.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
from psycopg import sql
from psycopg.errors import UniqueViolation
from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from recsys_tasks.errors import PublishRefused
from recsys_tasks.settings import StoreSettings
from recsys_tasks.store.audit import fault
from recsys_tasks.store.connect import is_postgresql, writing
from recsys_tasks.store.copy_rows import COPY_TYPES, copy_rows
from recsys_tasks.store.figures import Figures, Offer
from recsys_tasks.store.json_rows import json_rows
from recsys_tasks.store.shards import Shard
from recsys_tasks.store.tables import Generation

COLUMNS = ("subject_id", "surface", "item_ids", "scores", "sources", "reasons")
ARRAYS = COLUMNS[2:]
INSERT = (
    "INSERT INTO recommendation_lists (generation_id, subject_id, surface, item_ids, scores, sources, reasons)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What is known of lists before they are loaded."""

    night: date
    run_id: str
    model: str
    top_k: int
    model_refs: dict[str, Any] = field(default_factory=dict)
    """The artefacts of the model that made the lists: what becomes the champion's when they go live."""
    lists_ref: str | None = None
    """The artefact that holds the lists: a retry with the same one loads nothing again."""
    surface: str = "for_you"
    fallback_share: float | None = None


def partition(generation_id: int) -> str:
    """The PostgreSQL table of a generation."""
    return f"recommendation_lists_g{generation_id}"


def load_generation(
    engine: Engine,
    candidate: Candidate,
    lists: Iterable[pl.DataFrame],
    settings: StoreSettings,
    known_items: pl.Series | None = None,
    offered_items: pl.Series | None = None,
) -> Generation:
    """
    Load and audit ``lists`` (shards of the Recommendations contract; a shopper's rows stand in one shard).

    ``known_items`` is the night's catalogue, ``offered_items`` what of it may be recommended (all, where not given).
    Lists with a fault stay for inspection, in state ``refused``. Raises SchemaMismatch or DataError where they
    cannot be stored at all; then nothing is.
    """
    offer = None if known_items is None else Offer.of(known_items, offered_items)
    figures = Figures(candidate.top_k, offer)
    try:
        with writing(engine) as session:
            generation = _new_row(session, candidate)
            load = _load_postgresql if is_postgresql(engine) else _load_sqlite
            load(session.connection(), generation.id, _counted(lists, figures), candidate.surface)
            _judge(generation, figures, settings)
    except (IntegrityError, UniqueViolation, sqlite3.IntegrityError):
        raise PublishRefused(
            f"lists of night {candidate.night}: a shopper has two lists; nothing was loaded; "
            "run the night again from recommend"
        ) from None
    return generation


def _new_row(session: Session, candidate: Candidate) -> Generation:
    before = _loaded_before(session, candidate)
    generation = Generation(
        night=candidate.night,
        run_id=candidate.run_id,
        model=candidate.model,
        model_refs=candidate.model_refs,
        lists_ref=candidate.lists_ref,
        top_k=candidate.top_k,
        fallback_share=candidate.fallback_share,
        rows=0,
        users=0,
        state="ready",
        why="",
        audit={},
        created_at=datetime.now(UTC),
        # The same lists again are what somebody rolled away from, even where the first load is pruned.
        rolled_back_at=None if before is None else before.rolled_back_at,
        rolled_back_why=None if before is None else before.rolled_back_why,
    )
    session.add(generation)
    session.flush()
    return generation


def _loaded_before(session: Session, candidate: Candidate) -> Generation | None:
    """The newest load of the same lists, whatever became of it."""
    if candidate.lists_ref is None:
        return None
    same = select(Generation).where(Generation.lists_ref == candidate.lists_ref)
    return session.scalar(same.order_by(Generation.id.desc()).limit(1))


def _judge(generation: Generation, figures: Figures, settings: StoreSettings) -> None:
    generation.rows, generation.users, generation.audit = figures.rows, figures.users, figures.as_facts()
    found = fault(figures, settings)
    if found is not None:
        generation.state, generation.why = "refused", found


def _counted(lists: Iterable[pl.DataFrame], figures: Figures) -> Iterator[Shard]:
    """The shards, counted on the way."""
    for frame in lists:
        shard = Shard.of(frame)
        figures.add(shard)
        if len(shard):
            yield shard


def _load_postgresql(
    connection: Connection, generation_id: int, shards: Iterator[Shard], surface: str
) -> None:
    table = partition(generation_id)
    # A check that says what the partition's bounds say spares ATTACH a scan of the table.
    connection.execute(
        text(
            f"CREATE TABLE {table} (LIKE recommendation_lists INCLUDING STORAGE, "
            f"CONSTRAINT of_generation CHECK (generation_id = {generation_id}))"
        )
    )
    connection.execute(text(f"ALTER TABLE {table} ALTER generation_id SET DEFAULT {generation_id}"))
    # Nobody asks for what an array holds: statistics of them would cost as much as the index.
    unasked = ", ".join(f"ALTER {column} SET STATISTICS 0" for column in ARRAYS)
    connection.execute(text(f"ALTER TABLE {table} {unasked}, ALTER subject_id SET STATISTICS 10"))
    _copy(connection, table, shards, surface)
    key = "PRIMARY KEY (generation_id, subject_id, surface)"
    connection.execute(text(f"ALTER TABLE {table} ADD CONSTRAINT pk_{table} {key}"))
    connection.execute(text(f"ANALYZE {table} (subject_id)"))
    connection.execute(
        text(f"ALTER TABLE recommendation_lists ATTACH PARTITION {table} FOR VALUES IN ({generation_id})")
    )


def _copy(connection: Connection, table: str, shards: Iterator[Shard], surface: str) -> None:
    driver: Any = connection.connection.driver_connection
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary, FREEZE)").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
    )
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(COPY_TYPES)
        for shard in shards:
            for row in copy_rows(shard, surface):
                copy.write_row(row)


def _load_sqlite(connection: Connection, generation_id: int, shards: Iterator[Shard], surface: str) -> None:
    driver: Any = connection.connection.driver_connection
    for shard in shards:
        driver.executemany(INSERT, json_rows(shard, generation_id, surface))
