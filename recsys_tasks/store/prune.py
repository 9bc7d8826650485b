"""
Drop the lists of old generations, never under a reader, and never as part of publishing.

PostgreSQL: DROP of an attached partition would wait behind one open reader and queue every later reader behind
itself; so the partition is detached concurrently first, and each step gives up rather than wait long.
"""

import logging
import time

from sqlalchemy import Connection, Delete, Engine, Table, select, text
from sqlalchemy.exc import DBAPIError

from recsys_tasks.store.coded_tables import LISTS
from recsys_tasks.store.connect import answered, is_postgresql, writer, writing
from recsys_tasks.store.fill import partition
from recsys_tasks.store.pointer import locked_pointer
from recsys_tasks.store.tables import TEXTS, Generation, Move

log = logging.getLogger(__name__)

LOCK_TIMEOUT = "2s"
ATTEMPTS = 3
PAUSE_SECONDS = 1.0

PARTITIONS = text(
    "SELECT c.relname, i.inhdetachpending FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid"
    " WHERE c.relname = ANY(:names) AND pg_table_is_visible(c.oid) ORDER BY c.relname"
)


def prune(engine: Engine, keep: int) -> None:
    """
    Keep the live generation, the ``keep`` newest that can be gone back to, and as many others for inspection.

    What can be gone back to was live and not rolled back; others are dry runs, refusals, and what was rolled back.

    What cannot be dropped now (a reader holds it) is dropped by a later call; it is logged and no error.
    """
    gone = _mark(engine, keep)
    if not gone:
        return
    if is_postgresql(engine):
        _drop_partitions(engine, gone)
    else:
        with writing(engine) as session:
            for table in (TEXTS, *LISTS):
                session.execute(_delete(table, gone))


def _mark(engine: Engine, keep: int) -> list[int]:
    """Ids of all pruned generations; marking comes first, so that no rollback can choose what is being dropped."""
    with writing(engine) as session:
        _, live = locked_pointer(session)
        once_live = set(session.scalars(select(Move.to_generation_id)))
        newest_first = session.scalars(select(Generation).order_by(Generation.id.desc())).all()
        kept = [g for g in newest_first if g.state != "pruned"]
        stands = [g for g in kept if g.id in once_live and g.rolled_back_at is None]
        others = [g for g in kept if g not in stands]
        for generation in stands[keep:] + others[keep:]:
            if live is None or generation.id != live.id:
                generation.state = "pruned"
        return [g.id for g in newest_first if g.state == "pruned"]


def _drop_partitions(engine: Engine, gone: list[int]) -> None:
    # DETACH CONCURRENTLY refuses to run inside a transaction.
    outside = writer(engine).execution_options(isolation_level="AUTOCOMMIT")
    with answered(engine), outside.connect() as connection:
        connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
        names = [partition(table, id) for table in LISTS for id in gone]
        for name in connection.execute(PARTITIONS, {"names": names}).scalars().all():
            _drop_patiently(connection, name)
        # A reader of what is dropped has ended or goes on seeing its texts.
        connection.execute(_delete(TEXTS, gone))


def _delete(table: Table, gone: list[int]) -> Delete:
    return table.delete().where(table.c.generation_id.in_(gone))


def _drop_patiently(connection: Connection, name: str) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _drop(connection, name)
            return
        except DBAPIError as error:
            reason = str(error.orig).splitlines()[0]
            log.info("%s cannot be dropped yet (%s), attempt %d of %d", name, reason, attempt, ATTEMPTS)
            time.sleep(PAUSE_SECONDS)
    log.warning("%s is in use and stays for now; the next publish drops it", name)


def _drop(connection: Connection, name: str) -> None:
    pending = connection.execute(PARTITIONS, {"names": [name]}).one().inhdetachpending
    if pending is not None:  # attached; true where an earlier detach was interrupted half-way
        how = "FINALIZE" if pending else "CONCURRENTLY"
        whole = name.rpartition("_g")[0]
        connection.execute(text(f"ALTER TABLE {whole} DETACH PARTITION {name} {how}"))
    connection.execute(text(f"DROP TABLE {name}"))
