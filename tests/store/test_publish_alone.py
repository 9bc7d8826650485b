"""Publish: one publisher at a time."""

import threading

import pytest

from recsys_tasks.errors import Busy
from recsys_tasks.store import publish as publishing
from recsys_tasks.store.connect import is_postgresql
from recsys_tasks.store.publish import alone
from tests.store.builders import OTHER, candidate, lists


def test_a_second_publisher_waits_or_says_so(store, monkeypatch):
    if not is_postgresql(store.engine):
        pytest.skip("SQLite's own write lock: see test_connect")
    monkeypatch.setattr(publishing, "WAIT_SECONDS", 0.0)
    with alone(store.engine), pytest.raises(Busy, match="another run is publishing"):
        store.publish(candidate(), [lists()])
    # Two loads at once would give their new items the same codes: the later one would fail.
    with alone(store.engine), pytest.raises(Busy, match="another run is publishing"):
        store.load_generation(candidate(), [lists()])
    assert store.publish(candidate(), [lists()]).switched


def test_two_publishers_at_once_both_finish_one_after_the_other(store):
    runs = [
        threading.Thread(target=store.publish, args=(candidate(run_id=run), [lists(items=items)]))
        for run, items in (("a", ("tea", "milk", "rye")), ("b", OTHER))
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    rows = store.user_list("ann")
    assert {row.run_id for row in rows} in ({"a"}, {"b"})
    assert [row.item_id for row in rows] == (list(OTHER) if rows[0].run_id == "b" else ["tea", "milk", "rye"])
    assert len(store.moves()) == 2
