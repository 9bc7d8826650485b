"""Old lists go, but never under a reader."""

from datetime import timedelta

import pytest
from sqlalchemy import inspect, select, text

from recsys_tasks.settings import StoreSettings
from recsys_tasks.store import prune as pruning
from recsys_tasks.store.coded_tables import CODED_LISTS
from recsys_tasks.store.connect import is_postgresql
from tests.store.builders import MONDAY, candidate, lists

KEEP_TWO = StoreSettings(keep_generations=2)


def publish(store, day, **options):
    return store.publish(candidate(MONDAY + timedelta(days=day)), [lists()], KEEP_TWO, **options).generation


def stored(store):
    with store.engine.connect() as connection:
        return set(connection.execute(select(CODED_LISTS.c.generation_id).distinct()).scalars())


def test_the_newest_generations_stay(store):
    ids = [publish(store, day).id for day in range(4)]
    assert stored(store) == set(ids[2:])
    assert [g.state for g in store.generations()] == ["pruned", "pruned", "ready", "ready"]


def test_dry_runs_do_not_push_out_what_can_be_gone_back_to(store):
    ids = [publish(store, day).id for day in range(2)]
    dry = [publish(store, 2, dry_run=True).id for _ in range(3)]
    assert stored(store) == {*ids, *dry[1:]}


def test_what_was_rolled_back_does_not_push_out_what_can_be_gone_back_to(store):
    good = publish(store, 0)
    for day in (1, 2, 3):
        publish(store, day)
        store.rollback(why="bad", who="me")
    publish(store, 4)
    assert store.rollback(why="bad", who="me").id == good.id
    assert store.user_list("ann")


def test_the_live_generation_stays_however_old(store):
    first = publish(store, 0)
    for day in (1, 2):
        publish(store, day)
        store.rollback(first.id, why="bad", who="me") if day == 1 else None
    store.rollback(why="bad", who="me")
    live = store.live().id
    store.prune(1)
    assert live in stored(store)
    assert store.user_list("ann")


def test_nothing_of_a_pruned_generation_is_left(store):
    for day in range(4):
        publish(store, day)
    if is_postgresql(store.engine):
        names = {name for name in inspect(store.engine).get_table_names() if "lists_g" in name}
        assert names == {f"coded_lists_g{id}" for id in stored(store)}
    with store.engine.connect() as connection:
        texts = connection.execute(text("SELECT DISTINCT generation_id FROM list_texts")).scalars()
        assert set(texts) == stored(store)


def test_a_reader_is_neither_cut_off_nor_waited_for(store, monkeypatch):
    if not is_postgresql(store.engine):
        pytest.skip("SQLite deletes rows; readers keep their snapshot")
    monkeypatch.setattr(pruning, "LOCK_TIMEOUT", "100ms")
    monkeypatch.setattr(pruning, "PAUSE_SECONDS", 0.0)
    publish(store, 0)
    publish(store, 1)
    with store.engine.connect() as reader:
        assert len(reader.execute(text("SELECT * FROM coded_lists")).all()) == 4
        third = publish(store, 2)
        assert store.live().id == third.id
        assert store.user_list("ann")
        assert reader.execute(text("SELECT count(*) FROM live")).scalar() == 1
    fourth = publish(store, 3)
    assert stored(store) == {third.id, fourth.id}
    names = {name for name in inspect(store.engine).get_table_names() if "lists_g" in name}
    assert len(names) == 2
