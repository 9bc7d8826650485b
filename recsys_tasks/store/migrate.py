"""
Bring the serving database to this release's schema.

Our version table is our own, so the database may be shared with Airflow or with the shop; tables that are not ours,
generation partitions among them, are never looked at.

The previous release goes on reading until its last process is replaced: a migration adds, and takes nothing away that
release reads. On PostgreSQL the view is replaced in place (CREATE OR REPLACE), so that grants to readers outlive it.
"""

import logging
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text

from recsys_tasks.store.coded_tables import SQLITE_ONLY
from recsys_tasks.store.connect import answered, is_postgresql, writer
from recsys_tasks.store.tables import Base

log = logging.getLogger(__name__)

HEAD = "0005"
VERSION_TABLE = "recsys_version"
# Any number that nobody else in the database uses.
MIGRATION_LOCK = 7_309_450_001
LOCK_TIMEOUT = "5s"


def _is_ours(name: str | None, kind: str, _parents: object) -> bool:
    return kind != "table" or any(name in tables.tables for tables in (Base.metadata, SQLITE_ONLY))


OPTIONS: dict[str, Any] = {
    "target_metadata": Base.metadata,
    "version_table": VERSION_TABLE,
    "include_name": _is_ours,
    "render_as_batch": True,
    "compare_type": True,
}


def migrate(engine: Engine) -> None:
    """Upgrade to HEAD; safe when several processes call at once, and nothing to do the second time."""
    with answered(engine), writer(engine).begin() as connection:
        _lock(connection)
        revision = current_revision(connection)
        if revision == HEAD:
            return
        if revision is not None and not _is_known(revision):
            log.warning("the serving database has revision %s of a newer release; left as it is", revision)
            return
        log.info("serving database: from revision %s to %s", revision, HEAD)
        command.upgrade(alembic_config(connection), HEAD)


def needs_migration(engine: Engine) -> bool:
    with answered(engine), engine.connect() as connection:
        return current_revision(connection) != HEAD


def current_revision(connection: Connection) -> str | None:
    """The revision the database is at; none where it has never been migrated."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - a constant


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration for our migrations, bound to an open connection."""
    config = Config()
    folder = Path(__file__).with_name("migrations")
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _lock(connection: Connection) -> None:
    """One migration at a time; and DDL gives up rather than queue every reader behind it."""
    if is_postgresql(connection):
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))


def _is_known(revision: str) -> bool:
    known = {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}
    return revision in known
