"""The schema: made from nothing, once, by whoever comes first."""

import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from recsys_tasks.store.coded_tables import SQLITE_ONLY
from recsys_tasks.store.connect import engine_for, is_postgresql, make_url
from recsys_tasks.store.migrate import (
    HEAD,
    OPTIONS,
    alembic_config,
    current_revision,
    migrate,
    needs_migration,
)
from recsys_tasks.store.store import Store
from recsys_tasks.store.tables import Base
from tests.store.builders import candidate, lists


@pytest.fixture
def engine(request, tmp_path, kind):
    url = (
        request.getfixturevalue("fresh_postgres_url")
        if kind == "postgresql"
        else f"sqlite:///{tmp_path}/s.db"
    )
    return engine_for(make_url(url))


def ours(engine):
    return [Base.metadata] if is_postgresql(engine) else [Base.metadata, SQLITE_ONLY]


both = pytest.mark.parametrize("kind", ["sqlite", "postgresql"])


@both
def test_an_empty_database_gets_every_table_and_the_view(engine):
    assert needs_migration(engine)
    migrate(engine)
    assert not needs_migration(engine)
    ours = {*Base.metadata.tables, *(() if is_postgresql(engine) else SQLITE_ONLY.tables)}
    assert ours == set(inspect(engine).get_table_names()) - {"recsys_version"}
    assert inspect(engine).get_view_names() == ["recommendations"]


@both
def test_twice_is_once(engine):
    migrate(engine)
    Store(engine).publish(candidate(), [lists()])
    migrate(engine)
    assert Store(engine).user_list("ann")


@both
def test_migrations_make_exactly_the_tables_of_the_code(engine):
    migrate(engine)
    Store(engine).publish(candidate(), [lists()])  # its partition must not count
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=OPTIONS)
        assert compare_metadata(context, ours(engine)) == []


@both
def test_tables_of_others_are_left_alone(engine):
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(text("CREATE TABLE orders (id INTEGER)"))
    migrate(engine)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM alembic_version")).scalar() == 0
        assert compare_metadata(MigrationContext.configure(connection, opts=OPTIONS), ours(engine)) == []


@both
def test_a_newer_release_s_schema_is_left_as_it_is(engine, caplog):
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE recsys_version SET version_num = '9999'"))
    migrate(engine)
    with engine.connect() as connection:
        assert current_revision(connection) == "9999"
    assert "newer release" in caplog.text


@both
def test_many_processes_may_come_first(engine):
    code = (
        "import sys; from sqlalchemy import make_url; from recsys_tasks.store.connect import engine_for;"
        "from recsys_tasks.store.migrate import migrate; migrate(engine_for(make_url(sys.argv[1])))"
    )
    url = engine.url.render_as_string(hide_password=False)
    racers = [subprocess.Popen([sys.executable, "-c", code, url]) for _ in range(4)]
    assert [racer.wait() for racer in racers] == [0, 0, 0, 0]
    assert not needs_migration(engine)


def test_the_code_knows_the_newest_revision():
    assert ScriptDirectory.from_config(alembic_config()).get_heads() == [HEAD]


@both
def test_a_downgrade_takes_everything_away(engine):
    from alembic import command

    migrate(engine)
    with engine.begin() as connection:
        command.downgrade(alembic_config(connection), "base")
    assert inspect(engine).get_table_names() == ["recsys_version"]
