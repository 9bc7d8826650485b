"""The database goes away before, during and after COPY: one clear line, live lists as they were, a rerun finishes."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest
from sqlalchemy import event

from recsys_tasks.errors import StoreUnavailable
from recsys_tasks.store.embedded import stop_embedded
from recsys_tasks.store.store import Store, open_store
from tests.faults.work import KEEP_ONE, USERS, candidate_of, lists_of

SAYS_WHAT_TO_DO = (
    r"the serving database postgresql\S+ cannot be used: .+; no lists are half-published; .*run again"
)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A server of its own, as it is stopped for real."""
    home = Path(tempfile.mkdtemp(prefix="recsys-test-"))
    yield home / "postgres"
    stop_embedded(home / "postgres")
    shutil.rmtree(home)


@pytest.fixture
def store(folder: Path) -> Store:
    """A store whose newest night is live; every test goes on with the next one."""
    opened = open_store("embedded", folder)
    number = _next(opened) - 1
    opened.publish(candidate_of(max(number, 0)), [lists_of(max(number, 0))], KEEP_ONE)
    return opened


def _next(store: Store) -> int:
    live = store.live()
    return 0 if live is None else (live.night - candidate_of(0).night).days + 1


def shown(store: Store) -> list[str]:
    """Every shopper's list, as item ids in order."""
    return [row.item_id for user in USERS for row in store.user_list(user)]


def whole(number: int) -> list[str]:
    return [item for user in USERS for item in lists_of(number).filter(pl.col("user_id") == user)["item_id"]]


def before(store: Store, statement: str, act: Callable[[], Any]) -> None:
    """Do something once, right before a statement that holds these words."""

    waiting = [act]

    def listen(_connection: Any, _cursor: Any, said: str, *_more: Any) -> None:
        if statement in said and waiting:
            waiting.pop()()

    event.listen(store.engine, "before_cursor_execute", listen)


def cut_connections(store: Store) -> None:
    """What a failover does: every connection of ours ends."""
    with psycopg.connect(
        store.engine.url.set(drivername="postgresql").render_as_string(), autocommit=True
    ) as boss:
        boss.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'recsys' AND pid <> pg_backend_pid()"
        )


def shards(number: int, act: Callable[[], Any]) -> Iterator[pl.DataFrame]:
    """The lists, with something that happens after the first shopper's."""
    for place, user in enumerate(USERS):
        if place == 1:
            act()
        yield lists_of(number).filter(pl.col("user_id") == user)


FAULTS = {
    "server stopped": lambda store, folder: stop_embedded(folder),
    "cut off": lambda store, _: cut_connections(store),
}
fault_named = pytest.mark.parametrize("fault", FAULTS)


def back_again(folder: Path, number: int, expected: int) -> Store:
    """The database is back: what was live is live, and the rerun finishes."""
    again = open_store("embedded", folder)
    assert shown(again) == whole(expected)
    again.publish(candidate_of(number), [lists_of(number)], KEEP_ONE)
    assert shown(again) == whole(number)
    return again


def test_gone_before_anything_is_sent(store, folder):
    number = _next(store)
    stop_embedded(folder)
    with pytest.raises(StoreUnavailable, match=SAYS_WHAT_TO_DO):
        store.publish(candidate_of(number), [lists_of(number)])
    with pytest.raises(StoreUnavailable, match=SAYS_WHAT_TO_DO):
        shown(store)
    back_again(folder, number, number - 1)


@fault_named
def test_gone_during_the_copy(store, folder, fault):
    number = _next(store)
    with pytest.raises(StoreUnavailable, match=SAYS_WHAT_TO_DO):
        store.publish(candidate_of(number), shards(number, lambda: FAULTS[fault](store, folder)))
    again = back_again(folder, number, number - 1)
    assert [g.night for g in again.generations()].count(candidate_of(number).night) == 1


@fault_named
@pytest.mark.parametrize("statement", ["ATTACH PARTITION", "INSERT INTO moves", "UPDATE live"])
def test_gone_after_the_copy(store, folder, statement, fault):
    number = _next(store)
    before(store, statement, lambda: FAULTS[fault](store, folder))
    with pytest.raises(StoreUnavailable, match=SAYS_WHAT_TO_DO):
        store.publish(candidate_of(number), [lists_of(number)])
    back_again(folder, number, number - 1)


@fault_named
def test_gone_while_old_lists_are_dropped(store, folder, fault, caplog):
    number = _next(store)
    before(store, "DETACH PARTITION", lambda: FAULTS[fault](store, folder))
    assert store.publish(candidate_of(number), [lists_of(number)], KEEP_ONE).live
    back_again(folder, number + 1, number)


def test_gone_during_a_rollback(store, folder):
    number = _next(store)
    store.publish(candidate_of(number), [lists_of(number)])
    before(store, "UPDATE live", lambda: stop_embedded(folder))
    with pytest.raises(StoreUnavailable, match=SAYS_WHAT_TO_DO):
        store.rollback(why="for a test", who="test")
    again = open_store("embedded", folder)
    assert shown(again) == whole(number)
    again.rollback(why="for a test", who="test")
    assert shown(again) == whole(number - 1)
