"""Lists as both databases keep them: four bytes a place, and an item's code for good."""

import numpy as np
import polars as pl
import pytest
from sqlalchemy import delete, select

from recsys_tasks.errors import DataError, PublishRefused
from recsys_tasks.settings import StoreSettings
from recsys_tasks.store.coded_tables import CODED_ITEMS, CODED_LISTS, item_ids
from tests.store.builders import MONDAY, TUESDAY, WEDNESDAY, candidate, lists

ANY_CHURN = StoreSettings(max_churn=1.0)


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


def test_a_shopper_with_two_lists_leaves_no_item(store):
    with pytest.raises(PublishRefused):
        store.load_generation(candidate(), [lists(("ann",)), lists(("ann",), ("oat",))])
    assert items_of(store) == []


@pytest.mark.parametrize("lost", [0, 1])
def test_no_lists_are_loaded_where_an_item_lost_its_code(store, lost):
    """As after a partial restore: each later item would be listed under the code of another."""
    store.publish(candidate(MONDAY), [lists()])
    with store.engine.begin() as connection:
        connection.execute(delete(CODED_ITEMS).where(CODED_ITEMS.c.code == lost.to_bytes(4, "big")))
    with pytest.raises(DataError, match="holds 2 items for 3 codes: restore it from a backup"):
        store.publish(candidate(TUESDAY), [lists(items=("oat", "rye", "tea"))], ANY_CHURN)
    assert [generation.night for generation in store.generations()] == [MONDAY]


def test_both_databases_keep_the_same_bytes(store):
    frame = pl.concat([lists(("ann",)), lists(("bob",), ("rye", "tea"))])
    store.load_generation(candidate(), [frame])
    c = CODED_LISTS.c
    with store.engine.connect() as connection:
        rows = connection.execute(
            select(c.item_ids, c.scores, c.sources, c.reasons).order_by(c.subject_id)
        ).all()
    numbers = [tuple(np.frombuffer(field, ">u4").tolist() for field in row[2:]) for row in rows]
    assert [row.item_ids for row in rows] == [[0, 1, 2], [2, 0]]
    assert [np.frombuffer(row.scores, ">f4").tolist() for row in rows] == [
        [1.0, 0.5, np.float32(1 / 3)],
        [1.0, 0.5],
    ]
    assert numbers == [([0, 0, 0], [1, 2, 3]), ([0, 0], [3, 1])]
