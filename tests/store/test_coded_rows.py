"""What SQLite alone does with coded lists: numbers, and how many places it counts."""

import numpy as np
import pytest
from sqlalchemy import make_url, select, text

from recsys_tasks.errors import DataError
from recsys_tasks.store import coded_rows
from recsys_tasks.store.coded_tables import CODED_NUMBERS
from recsys_tasks.store.connect import engine_for
from recsys_tasks.store.store import Store
from tests.store.builders import candidate, lists


@pytest.fixture
def store(tmp_path):
    store = Store(engine_for(make_url(f"sqlite:///{tmp_path}/serve.db")))
    store.migrate()
    return store


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
