import os

import pytest
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from common import connections

from recsys_tasks.settings import load_settings

SHOP = """
name: tiny
database: SHOP_DATABASE
first_night: 2026-01-05
sources:
  events:
    kind: sql
    url: SHOP_LOG
    query: "SELECT u, i, t FROM log WHERE t >= :start AND t < :end"
    columns: {user_id: u, item_id: i, occurred_at: t}
    event_type: purchase
  items: {kind: csv, path: items.csv, text: "{name}", columns: {item_id: i}}
"""
KNOWN = {"shop_log": "postgres://reader:s3cret@db.example/log?sslmode=require"}


@pytest.fixture
def settings(tmp_path, monkeypatch):
    for name in ("SHOP_LOG", "SHOP_DATABASE"):
        monkeypatch.setenv(name, "")  # noted first, so that what a test sets is gone after it
        monkeypatch.delenv(name)
    file = tmp_path / "shop.yaml"
    file.write_text(SHOP)
    return load_settings(file)


@pytest.fixture
def masked(monkeypatch):
    """Airflow with one Connection; what it was told to hide."""
    hidden: list[str] = []

    def get(name: str) -> Connection:
        if name not in KNOWN:
            raise AirflowNotFoundException(name)
        return Connection.from_uri(KNOWN[name], conn_id=name)

    monkeypatch.setattr(connections.Connection, "get", get)
    monkeypatch.setattr(connections, "mask_secret", hidden.append)
    return hidden


def test_a_missing_variable_comes_from_the_connection_of_its_name(settings, masked):
    connections.fill_environment(settings)
    assert os.environ["SHOP_LOG"] == "postgresql://reader:s3cret@db.example/log?sslmode=require"


def test_its_password_and_url_are_hidden_in_logs(settings, masked):
    connections.fill_environment(settings)
    assert "s3cret" in masked
    assert os.environ["SHOP_LOG"] in masked


def test_a_variable_that_is_set_wins(settings, masked, monkeypatch):
    monkeypatch.setenv("SHOP_LOG", "sqlite:///here.db")
    connections.fill_environment(settings)
    assert os.environ["SHOP_LOG"] == "sqlite:///here.db"


def test_what_nobody_knows_is_left_to_the_step_to_report(settings, masked):
    connections.fill_environment(settings)
    assert "SHOP_DATABASE" not in os.environ
    assert connections.missing_names(settings) == ["SHOP_DATABASE"]
