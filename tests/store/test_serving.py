"""docs/serving.md, word for word: what the shop's backend is told to run."""

import re
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from recsys_tasks.store.connect import engine_for
from recsys_tasks.store.embedded import embedded_url
from recsys_tasks.store.store import Store
from tests.store.builders import MONDAY, TUESDAY, candidate, lists

GUIDE = Path(__file__).parents[2] / "docs" / "serving.md"
ITEMS = ["tea", "milk", "rye"]


def block(kind: str) -> str:
    """The one block of the guide that begins with ```kind."""
    found = re.findall(rf"^```{kind}\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(found) == 1
    return found[0]


@pytest.fixture
def public_store(postgres_folder):
    """A store in the schema public of a database of its own."""
    store = Store(engine_for(make_url(embedded_url(postgres_folder, "serving"))))
    store.migrate()
    yield store
    with psycopg.connect(plain(embedded_url(postgres_folder)), autocommit=True) as connection:
        connection.execute("DROP DATABASE serving WITH (FORCE)")
        connection.execute("DROP ROLE IF EXISTS shop_reader")


def plain(url) -> str:
    return str(url).replace("postgresql+psycopg", "postgresql")


@pytest.fixture
def reader(public_store):
    """The store as the documented role sees it."""
    public_store.publish(candidate(MONDAY), [lists()])
    with psycopg.connect(plain(public_store.engine.url), autocommit=True) as connection:
        connection.execute(block("sql role"))
    return engine_for(public_store.engine.url.set(username="shop_reader"))


def list_of(engine, user):
    with engine.connect() as connection:
        return connection.execute(text(block("sql query")), {"user_id": user}).all()


def test_the_role_reads_the_lists_of_this_night_and_of_the_next(public_store, reader):
    assert [row.item_id for row in list_of(reader, "ann")] == ITEMS
    public_store.publish(candidate(TUESDAY), [lists(items=("oat", "nut", "fig"))])
    assert [row.item_id for row in list_of(reader, "ann")] == ["oat", "nut", "fig"]
    public_store.rollback(why="bad", who="me")
    assert [row.item_id for row in list_of(reader, "ann")] == ITEMS


NO = r"permission denied|must be owner|cannot (delete from|update|insert into) view"


def refused(engine, statement):
    """What the server says, though the role has lifted its own read-only default."""
    with engine.connect() as connection:
        connection.execute(text("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE"))
        connection.commit()
        with pytest.raises(DBAPIError, match=NO) as error:
            connection.execute(text(statement))
    return str(error.value)


def test_the_role_reads_nothing_else(public_store, reader):
    public_store.publish(candidate(TUESDAY), [lists()])
    with public_store.engine.connect() as connection:
        tables = connection.execute(
            text(
                "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
            )
        ).scalars()
        names = set(tables)
    assert {"generations", "live", "coded_lists", "coded_items", "list_texts", "coded_lists_g2"} <= names
    for name in names:
        assert "permission denied" in refused(reader, f"SELECT * FROM {name}")


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM recommendations",
        "UPDATE live SET generation_id = NULL",
        "INSERT INTO coded_lists_g1 DEFAULT VALUES",
        "DROP VIEW recommendations",
        "CREATE TABLE mine (id integer)",
        "TRUNCATE moves",
    ],
)
def test_the_role_writes_nothing(reader, statement):
    assert refused(reader, statement)


def test_the_role_s_transactions_are_read_only(reader):
    with reader.connect() as connection:
        assert connection.execute(text("SHOW transaction_read_only")).scalar() == "on"


def test_tables_that_are_made_later_are_closed_to_it(public_store, reader):
    with public_store.engine.begin() as connection:
        connection.execute(text("CREATE TABLE later (id integer)"))
    assert "permission denied" in refused(reader, "SELECT * FROM later")


def test_the_query_in_both_languages_gives_the_same_on_both_databases(store):
    store.publish(candidate(), [lists()])
    names: dict = {}
    exec(block("python"), names)
    with store.engine.connect() as connection:
        by_core = names["list_of"](connection, "bob")
    assert by_core == list_of(store.engine, "bob")
    assert [(row.rank, row.item_id) for row in by_core] == list(enumerate(ITEMS, 1))
    with store.engine.connect() as connection:
        assert names["list_of"](connection, "nobody") == []


def test_sqlite_can_be_opened_for_reading_only(tmp_path):
    store = Store(engine_for(make_url(f"sqlite:///{tmp_path}/serve.db")))
    store.migrate()
    store.publish(candidate(), [lists()])
    address = re.search(r"`(sqlite:///file:\S+)`", GUIDE.read_text()).group(1)
    engine = create_engine(address.replace("/path", str(tmp_path)))
    assert [row.item_id for row in list_of(engine, "ann")] == ITEMS
    with engine.connect() as connection, pytest.raises(DBAPIError, match="readonly database"):
        connection.execute(text("DELETE FROM live"))
    engine.dispose()
