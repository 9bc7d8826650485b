"""SQLite's lists: four bytes a place, and an item's code for good."""

import numpy as np
import pytest
from sqlalchemy import make_url, select, text

from recsys_tasks.errors import DataError
from recsys_tasks.settings import StoreSettings
from recsys_tasks.store import coded_rows
from recsys_tasks.store.coded_tables import CODED_LISTS, CODED_NUMBERS, item_ids
from recsys_tasks.store.connect import engine_for
from recsys_tasks.store.store import Store
from tests.store.builders import MONDAY, TUESDAY, WEDNESDAY, candidate, lists

ANY_CHURN = StoreSettings(max_churn=1.0)


@pytest.fixture
def store(tmp_path):
    store = Store(engine_for(make_url(f"sqlite:///{tmp_path}/serve.db")))
    store.migrate()
    return store


def items_of(store):
    with store.engine.connect() as connection:
        return item_ids(connection)


def test_an_item_keeps_its_code_from_night_to_night(store):
    store.publish(candidate(MONDAY), [lists(items=("tea", "milk", "rye"))])
    store.publish(candidate(TUESDAY), [lists(items=("oat", "rye", "tea"))], ANY_CHURN)
    assert items_of(store) == ["tea", "milk", "rye", "oat"]
    with store.engine.connect() as connection:
        codes = connection.execute(select(CODED_LISTS.c.item_ids).where(CODED_LISTS.c.subject_id == "ann"))
        assert codes.scalars().all() == [[0, 1, 2], [3, 2, 0]]


def test_codes_outlive_the_lists(store):
    for night, item in ((MONDAY, "tea"), (TUESDAY, "rye"), (WEDNESDAY, "tea")):
        store.publish(candidate(night, top_k=1), [lists(items=(item,))], ANY_CHURN)
    store.prune(1)
    assert items_of(store) == ["tea", "rye"]
    assert [row.item_id for row in store.user_list("ann")] == ["tea"]


def test_lists_that_leave_nothing_leave_no_item(store):
    with pytest.raises(DataError, match="NUL"):
        store.load_generation(candidate(), [lists(("ann",)), lists(("bob",), ("a\0b",))])
    assert items_of(store) == []


def test_a_list_with_more_places_than_the_view_counts_is_refused_by_name(store, monkeypatch):
    monkeypatch.setattr(coded_rows, "PLACES", 2)
    assert store.load_generation(candidate(), [lists(("ann",), ("tea", "rye"))]).rows == 2
    with pytest.raises(DataError, match="user_id bob has 3 rows; SQLite holds 2"):
        store.load_generation(candidate(), [lists(("bob",))])
    assert len(store.generations()) == 1


def test_as_many_places_as_the_limit_says_are_counted(store):
    with store.engine.connect() as connection:
        numbers = connection.execute(select(CODED_NUMBERS.c.number, CODED_NUMBERS.c.bytes)).all()
    assert numbers == [(n, n.to_bytes(2, "big")) for n in range(coded_rows.PLACES)]


def test_every_finite_single_precision_number_begins_somewhere(store):
    query = text("SELECT number, float_from, float_step FROM coded_numbers ORDER BY number")
    with store.engine.connect() as connection:
        rows = connection.execute(query).all()
    last = np.arange(2**16, dtype=np.uint32)
    for number, begin, step in rows[::131]:
        exact = (last + np.uint32(number << 16)).view(np.float32)
        if np.isfinite(exact).all():
            assert (begin + step * last == exact.astype(float)).all()
        else:
            assert step is None
