"""From the setting to an engine: what is refused, and what must never be shown."""

import pytest
from sqlalchemy import make_url, text

from recsys_tasks.errors import Busy, SettingsError, StoreUnavailable
from recsys_tasks.store.connect import address, answered, engine_for
from recsys_tasks.store.store import open_store

SECRET = "h0rse-staple"


def test_a_missing_variable_is_named(monkeypatch, tmp_path):
    monkeypatch.delenv("SHOP_DATABASE", raising=False)
    with pytest.raises(SettingsError, match="SHOP_DATABASE is not set"):
        open_store("SHOP_DATABASE", tmp_path)


@pytest.mark.parametrize("value", [f"mysql://me:{SECRET}@db/shop", f"no url but {SECRET}", "sqlite:///x.db"])
def test_only_postgresql_comes_from_the_environment(monkeypatch, tmp_path, value):
    monkeypatch.setenv("SHOP_DATABASE", value)
    with pytest.raises(SettingsError, match="SHOP_DATABASE") as refused:
        open_store("SHOP_DATABASE", tmp_path)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("password", ["left@h0rse:staple", "left@h0rse"])
def test_a_password_with_a_bare_at_sign_is_refused_without_a_part_of_it(monkeypatch, tmp_path, password):
    monkeypatch.setenv("SHOP_DATABASE", f"postgresql://shop:{password}@127.0.0.1:1/db")
    with pytest.raises(SettingsError, match=r"SHOP_DATABASE cannot be read: percent-encode") as refused:
        open_store("SHOP_DATABASE", tmp_path)
    assert "left" not in str(refused.value)
    assert "h0rse" not in str(refused.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_every_spelling_of_postgresql_is_understood(monkeypatch, tmp_path, scheme):
    monkeypatch.setenv("SHOP_DATABASE", f"{scheme}://me:{SECRET}@db/shop")
    assert address("SHOP_DATABASE", tmp_path).drivername == "postgresql+psycopg"


@pytest.mark.parametrize("password", [f":{SECRET}@", "@"])
def test_a_server_that_is_away_is_said_in_one_line_without_secrets(monkeypatch, tmp_path, password):
    query = "" if SECRET in password else f"&password={SECRET}"
    monkeypatch.setenv("SHOP_DATABASE", f"postgresql://me{password}/shop?host={tmp_path}{query}")
    with pytest.raises(StoreUnavailable, match="cannot be used") as away:
        open_store("SHOP_DATABASE", tmp_path)
    assert SECRET not in repr(away.value)
    assert away.value.__cause__ is None
    assert away.value.exit_code == 9


def test_a_sqlite_file_that_cannot_be_opened_is_said_in_one_line(tmp_path):
    (tmp_path / "serving.db").mkdir()
    with pytest.raises(StoreUnavailable, match=r"serving\.db"):
        open_store(f"sqlite:///{tmp_path / 'serving.db'}", tmp_path)


def test_parameters_stay_out_of_database_errors(store):
    with (
        pytest.raises(Exception, match=r"no such|does not exist") as error,
        store.engine.connect() as connection,
    ):
        connection.execute(text("SELECT :secret FROM nowhere"), {"secret": SECRET})
    assert SECRET not in str(error.value)


def test_a_locked_sqlite_file_is_busy(tmp_path, monkeypatch):
    monkeypatch.setattr("recsys_tasks.store.connect.SQLITE_WAIT_SECONDS", 0)
    url = make_url(f"sqlite:///{tmp_path / 'serving.db'}")
    holder, late = (engine_for(url).execution_options(sqlite_begin="BEGIN IMMEDIATE") for _ in range(2))
    with holder.begin(), pytest.raises(Busy, match="another process writes"), answered(late), late.begin():
        pass


def test_ddl_is_rolled_back_with_its_transaction(store):
    connection = store.engine.connect()
    with connection, connection.begin() as transaction:
        connection.execute(text("CREATE TABLE scratch (a INTEGER)"))
        transaction.rollback()
    with store.engine.begin() as connection:
        connection.execute(text("CREATE TABLE scratch (a INTEGER)"))
