"""Publish: killed, or without its database, in the middle."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import psycopg
import pytest
from sqlalchemy.exc import OperationalError, ProgrammingError

from recsys_tasks.errors import Busy, StoreUnavailable
from recsys_tasks.store import publish as publishing
from recsys_tasks.store.connect import is_postgresql
from tests.store.builders import MONDAY, OTHER, TUESDAY, candidate, lists, live_items

PRUNING_FAULTS = [
    OperationalError("DROP TABLE x", {}, psycopg.OperationalError("the server is gone")),
    ProgrammingError("DROP TABLE x", {}, psycopg.errors.InsufficientPrivilege("the server is gone")),
    psycopg.InterfaceError("the server is gone"),
    sqlite3.OperationalError("the server is gone"),
    StoreUnavailable("the server is gone"),
    Busy("the server is gone"),
]


@pytest.mark.parametrize("fault", PRUNING_FAULTS, ids=lambda fault: type(fault).__name__)
def test_lists_are_published_though_old_ones_cannot_be_pruned(store, monkeypatch, caplog, fault):
    monkeypatch.setattr(publishing, "prune", Mock(side_effect=fault))
    assert store.publish(candidate(), [lists()]).switched
    assert "not pruned now" in caplog.text
    assert "the server is gone" in caplog.text
    assert "DROP TABLE" not in caplog.text


def test_a_server_that_cuts_off_pruning_does_not_fail_the_publish(store, monkeypatch):
    if not is_postgresql(store.engine):
        pytest.skip("SQLite has no server")

    def cut_off(engine, _keep):
        with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'recsys'"
            )

    monkeypatch.setattr(publishing, "prune", cut_off)
    assert store.publish(candidate(), [lists()]).switched
    monkeypatch.undo()
    assert store.publish(candidate(TUESDAY), [lists()]).switched


HANGING = """
import sys, time
from pathlib import Path
from recsys_tasks.store.store import open_store
from tests.store.builders import TUESDAY, candidate, lists

def shards():
    yield lists(users=[f"user {n}" for n in range(2000)])
    Path(sys.argv[2]).touch()
    time.sleep(60)

open_store(sys.argv[1], Path(".")).publish(candidate(TUESDAY), shards())
"""


def loading(database: str, marker: Path) -> subprocess.Popen[bytes]:
    """A process in the middle of loading lists."""
    process = subprocess.Popen(
        [sys.executable, "-c", HANGING, database, str(marker)], cwd=Path(__file__).parents[2]
    )
    while not marker.exists():
        assert process.poll() is None
        time.sleep(0.02)
    return process


def test_killed_while_loading_nothing_is_left_and_a_rerun_works(store, database, tmp_path):
    store.publish(candidate(), [lists()])
    process = loading(database, tmp_path / "half-way")
    process.kill()
    process.wait()
    assert live_items(store) == ["tea", "milk", "rye"]
    assert [g.night for g in store.generations()] == [MONDAY]
    assert store.publish(candidate(TUESDAY), [lists(items=OTHER)]).switched
    assert live_items(store) == list(OTHER)


def test_a_signal_while_loading_frees_the_lock(store, database, tmp_path):
    process = loading(database, tmp_path / "half-way")
    os.kill(process.pid, signal.SIGTERM)
    process.wait()
    assert store.publish(candidate(), [lists()]).switched


def test_a_database_that_goes_away_while_loading_is_said_in_one_line(store):
    if not is_postgresql(store.engine):
        pytest.skip("SQLite has no server")

    def shards():
        yield lists(users=("ann",))
        with store.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                " AND application_name = 'recsys'"
            )
        yield lists(users=("bob",))

    with pytest.raises(StoreUnavailable, match="cannot be used"):
        store.publish(candidate(), shards())
    assert store.generations() == []
    assert store.publish(candidate(), [lists()]).switched
