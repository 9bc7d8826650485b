"""Airflow's tables are made once per version and database: the next start asks the database alone."""

import psycopg
import pytest

from tools import airflow_servers, airflow_tables, embedded

MADE = """
    CREATE TABLE alembic_version (version_num text);
    INSERT INTO alembic_version VALUES ('a1');
    CREATE TABLE slot_pool (pool text, slots int);
    INSERT INTO slot_pool VALUES ('default_pool', 128), ('gpu', 1);
"""


@pytest.fixture
def database(fresh_postgres_url):
    """Runs SQL in an empty schema that stands for Airflow's database."""
    database = psycopg.connect(fresh_postgres_url.replace("+psycopg", ""), autocommit=True)
    yield database
    database.close()


@pytest.fixture
def asked(monkeypatch, database, fresh_postgres_url):
    """Which of Airflow's commands a start ran; the first one makes the tables."""
    commands = []

    def run(environment, *arguments):
        commands.append(arguments[:2])
        if (
            arguments == ("db", "migrate")
            and not database.execute("SELECT to_regclass('slot_pool')").fetchone()[0]
        ):
            database.execute(MADE)

    monkeypatch.setattr(embedded, "_quietly", run)

    def start():
        commands.clear()
        embedded.migrate({"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": fresh_postgres_url})
        return list(commands)

    return start


EVERYTHING = [("db", "migrate"), ("pools", "set")]


def test_the_second_start_finds_what_the_first_one_made(asked):
    assert asked() == EVERYTHING
    assert asked() == []


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("UPDATE alembic_version SET version_num = 'a2'", id="migrated by hand"),
        pytest.param("DELETE FROM alembic_version", id="no revision"),
        pytest.param("INSERT INTO alembic_version VALUES ('b1')", id="two heads"),
        pytest.param("DELETE FROM slot_pool WHERE pool = 'gpu'", id="a pool is gone"),
        pytest.param("UPDATE slot_pool SET slots = 0 WHERE pool = 'gpu'", id="a pool has other slots"),
    ],
)
def test_what_somebody_changed_is_made_again(asked, database, monkeypatch, change):
    asked()
    database.execute(change)
    monkeypatch.setattr(airflow_tables, "note_made", lambda environment: None)
    assert asked() == EVERYTHING


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param("DELETE FROM alembic_version", r"0 revisions", id="none"),
        pytest.param("INSERT INTO alembic_version VALUES ('b1')", r"2 revisions \(a1, b1\)", id="two heads"),
    ],
)
def test_tables_of_no_one_revision_are_told_with_what_to_do(asked, database, change, why):
    asked()
    database.execute(change)
    with pytest.raises(airflow_servers.NotStarted, match=rf"{why}.*alembic_version.*start again"):
        asked()


def test_another_release_makes_its_own(asked, monkeypatch):
    asked()
    monkeypatch.setattr(airflow_tables, "version", lambda name: "99.0")
    assert asked() == EVERYTHING
    assert asked() == []
