"""Fixtures every room shares."""

import logging
import shutil
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings

from recsys_tasks.store.embedded import embedded_url, stop_embedded
from recsys_tasks.store.store import Store, open_store

# The first example of a test pays for what is loaded lazily, and a shared machine may be slow: no test fails on time.
settings.register_profile("patient", deadline=None, max_examples=60)
settings.load_profile("patient")

DATABASES = ("sqlite", "postgresql")
_numbers = count(1)


@pytest.fixture(autouse=True)
def level() -> Iterator[None]:
    """The command line sets how much a process logs, for good: each test finds what a fresh process has."""
    logger = logging.getLogger("recsys_tasks")
    before = logger.level
    yield
    logger.setLevel(before)


@pytest.fixture(scope="session")
def postgres_folder() -> Iterator[Path]:
    """The folder of an embedded PostgreSQL server; short, as a socket's path must be."""
    home = Path(tempfile.mkdtemp(prefix="recsys-test-"))
    yield home / "postgres"
    stop_embedded(home / "postgres")
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def postgres_url(postgres_folder: Path) -> str:
    """The URL of a database of that server; the server runs."""
    url = embedded_url(postgres_folder)
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        # Tests may lose data in a power cut.
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
    return url


@pytest.fixture
def fresh_postgres_url(postgres_url: str) -> str:
    """The URL of an empty schema of the test's own: as good as a database of its own, and quicker made."""
    schema = f"test_{next(_numbers)}"
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
    return f"{postgres_url}&options=-csearch_path%3D{schema}"


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A shop's ``database`` setting, pointing to an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'serving.db'}"
    monkeypatch.setenv("RECSYS_TEST_URL", request.getfixturevalue("fresh_postgres_url"))
    return "RECSYS_TEST_URL"


@pytest.fixture
def store(database: str, tmp_path: Path) -> Store:
    """An empty serving database, on SQLite and on PostgreSQL."""
    return open_store(database, tmp_path / "postgres")
