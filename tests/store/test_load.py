"""What can be stored, comes back as it was; what cannot, leaves nothing behind."""

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from recsys_tasks.errors import DataError, PublishRefused
from recsys_tasks.settings import StoreSettings
from recsys_tasks.store.tables import LISTS
from tests.store.builders import candidate, lists

ODD_IDS = [
    "o'brien",
    'say "hi"',
    "a;DROP TABLE live;--",
    "{a,b}",
    "NULL",
    "\\x00",
    "日本語",
    "🥖",
    "e\u0301",
    " lead and trail ",
    "x" * 512,
    "[1]",
    "%s :name ?",
    "b" * 127 + "é",
    "c" * 256,
    "日" * 100,
]
LONG = ["", "x", "y" * 255, "z" * 256, "é" * 40_000, '\n\t\x01"\\{}', "w" * 70_000]


def rows_of(store):
    with store.engine.connect() as connection:
        return connection.execute(select(LISTS)).all()


@pytest.mark.parametrize("odd", ODD_IDS)
def test_odd_ids_come_back_as_they_were(store, odd):
    store.publish(candidate(), [lists(users=(odd, "ann"), items=(odd, "milk", "rye"))])
    mine = store.user_list(odd)
    assert [row.item_id for row in mine] == [odd, "milk", "rye"]
    assert mine[0].reason == f"you bought {odd} before"


def test_texts_of_any_length_come_back(store):
    frame = lists(items=[f"item {n}" for n in range(len(LONG))])
    frame = frame.with_columns(reason=pl.Series([*LONG, *reversed(LONG)]))
    store.publish(candidate(), [frame])
    assert [row.reason for row in store.user_list("ann")] == LONG
    assert [row.reason for row in store.user_list("bob")] == LONG[::-1]


def test_lists_of_different_lengths_come_back(store):
    shards = [lists(("ann",), ("tea",)), pl.concat([lists(("bob",)), lists(("cy",), ("rye",))]), lists(())]
    store.publish(candidate(top_k=1), shards)
    found = {user: [row.item_id for row in store.user_list(user)] for user in ("ann", "bob", "cy")}
    assert found == {"ann": ["tea"], "bob": ["tea", "milk", "rye"], "cy": ["rye"]}


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1, max_size=30)


@settings(
    max_examples=5, database=None, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    items=st.lists(texts, min_size=10, max_size=40, unique=True),
    score=st.floats(width=32, allow_nan=False, allow_infinity=False),
)
def test_any_text_and_score_come_back(store, items, score):
    frame = lists(("ann",), items).with_columns(score=pl.lit(score, pl.Float32))
    store.publish(candidate(top_k=1), [frame], StoreSettings(max_shrink=1.0))
    mine = store.user_list("ann")
    assert [row.item_id for row in mine] == items
    assert [pl.Series([row.score], dtype=pl.Float32)[0] for row in mine] == [score] * len(items)


def test_shards_arrive_as_one_generation(store):
    generation = store.load_generation(candidate(), iter([lists(("ann",)), lists(("bob", "cy"))]))
    assert (generation.rows, generation.users, generation.state) == (9, 3, "ready")
    assert {row.subject_id for row in rows_of(store)} == {"ann", "bob", "cy"}
    assert store.live() is None


def test_rows_may_stand_in_any_order(store):
    store.publish(candidate(), [lists().reverse()])
    assert [row.rank for row in store.user_list("bob")] == [1, 2, 3]


def test_lists_that_cannot_be_stored_leave_nothing(store):
    bad = lists(("bob",)).with_columns(item_id=pl.lit("a\0b"))
    with pytest.raises(DataError, match="NUL"):
        store.load_generation(candidate(), [lists(("ann",)), bad])
    assert (rows_of(store), store.generations()) == ([], [])


def test_a_shopper_in_two_shards_is_refused(store):
    with pytest.raises(PublishRefused, match="two lists"):
        store.load_generation(candidate(), [lists(("ann",)), lists(("ann",))])
    assert (rows_of(store), store.generations()) == ([], [])


def test_lists_with_a_fault_are_kept_for_inspection(store):
    generation = store.load_generation(
        candidate(), [lists(items=("tea", "tea", "rye"))], StoreSettings(), pl.Series(["tea", "rye"])
    )
    assert generation.state == "refused"
    assert generation.audit["duplicates"] == 2
    assert len(rows_of(store)) == 2
