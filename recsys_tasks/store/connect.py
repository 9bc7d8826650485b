"""
From the ``database`` setting to an engine, with every secret kept out of sight.

Engines keep no pool: a nightly batch opens few connections, and a forked task must not inherit one.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from recsys_tasks.addresses import scrubbed, url_from_environment, without_password
from recsys_tasks.errors import Busy, SettingsError, StoreUnavailable
from recsys_tasks.store.embedded import embedded_url

EMBEDDED = "embedded"
CONNECT_SECONDS = 10
SQLITE_WAIT_SECONDS = 60
# A list of a few kilobytes fits in a page, or in few; counts when the file is made.
SQLITE_PAGE_BYTES = 32_768
SQLITE_CACHE_KIB = 16_384
SQLITE_FAULTS = ("unable to open", "disk is full", "disk I/O error", "readonly database")


def address(database: str, postgres_folder: Path) -> URL:
    """
    The URL behind ``embedded``, ``sqlite:///FILE`` or the name of an environment variable.

    ``embedded`` starts the server where it does not run. Raises SettingsError, naming the variable and never its
    value.
    """
    if database == EMBEDDED:
        return make_url(embedded_url(postgres_folder))
    if database.startswith("sqlite:///"):
        return make_url(database)
    return _from_environment(database)


def _from_environment(variable: str) -> URL:
    url = url_from_environment("database", variable, "a PostgreSQL URL")
    if url.get_backend_name() != "postgresql":
        raise SettingsError(f"database: environment variable {variable} must hold a PostgreSQL URL")
    return url.set(drivername="postgresql+psycopg")


def engine_for(url: URL) -> Engine:
    """An engine for either database; parameters never appear in its errors."""
    if url.get_backend_name() == "sqlite":
        return _sqlite(url)
    arguments = {"connect_timeout": CONNECT_SECONDS, "application_name": "recsys"}
    return create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args=arguments)


def _sqlite(url: URL) -> Engine:
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url, poolclass=NullPool, hide_parameters=True, connect_args={"timeout": SQLITE_WAIT_SECONDS}
    )
    event.listen(engine, "connect", _open_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _open_sqlite(connection: Any, _record: object) -> None:
    # The driver's implicit transactions let DDL escape a rollback: we begin them ourselves.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA page_size = {SQLITE_PAGE_BYTES}")
    connection.execute(f"PRAGMA cache_size = -{SQLITE_CACHE_KIB}")
    connection.execute("PRAGMA journal_mode = WAL")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))


def writer(engine: Engine) -> Engine:
    """The same database, for writing: on SQLite a transaction takes the write lock when it begins."""
    return engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")


def is_postgresql(bind: Engine | Connection) -> bool:
    return bind.dialect.name == "postgresql"


@contextmanager
def answered(engine: Engine) -> Iterator[None]:
    """Turn a database that is away, or locked by another process, into one clear line without secrets."""
    try:
        yield
    except DBAPIError as error:
        _raise_explained(engine, error.orig)
        raise
    except (psycopg.Error, sqlite3.Error) as error:  # raised by loading, which bypasses SQLAlchemy
        _raise_explained(engine, error)
        raise


def _raise_explained(engine: Engine, error: BaseException | None) -> None:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    line = scrubbed(lines[0], engine.url)
    place = without_password(engine.url)
    if "database is locked" in line or isinstance(error, psycopg.errors.LockNotAvailable):
        raise Busy(
            f"another process writes to the serving database {place}; wait for it, then run again"
        ) from None
    away = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    if away or any(fault in line for fault in SQLITE_FAULTS):
        raise StoreUnavailable(
            f"the serving database {place} cannot be used: {line}; no lists are half-published; see that it runs, "
            "can be reached and has space, then run again"
        ) from None


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """A session for queries; what it returns stays usable afterwards."""
    with answered(engine), Session(engine, expire_on_commit=False) as session:
        yield session


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """One transaction: committed when the body ends, rolled back when it raises."""
    with answered(engine), Session(writer(engine), expire_on_commit=False) as session, session.begin():
        yield session
