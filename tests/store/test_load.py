"""What can be stored, comes back as it was; what cannot, leaves nothing behind."""

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, update

from recsys_tasks.errors import Busy, DataError, PublishRefused
from recsys_tasks.settings import StoreSettings
from recsys_tasks.store import fill
from recsys_tasks.store import texts as coding
from recsys_tasks.store.coded_tables import CODED_ITEMS, CODED_LISTS, item_ids
from recsys_tasks.store.connect import is_postgresql
from recsys_tasks.store.tables import TEXTS, Live
from tests.store.builders import MONDAY, TUESDAY, TYPES, candidate, lists

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
        return connection.execute(select(CODED_LISTS)).all()


@pytest.mark.parametrize("odd", ODD_IDS)
def test_odd_ids_come_back_as_they_were(store, odd):
    store.publish(candidate(), [lists(users=(odd, "ann"), items=(odd, "milk", "rye"))])
    mine = store.user_list(odd)
    assert [row.item_id for row in mine] == [odd, "milk", "rye"]
    assert mine[0].reason == f"you bought {odd} before"


def test_odd_ids_come_back_in_one_list_and_night_after_night(store):
    """What JSON, SQL or a separator would change; composed and decomposed letters are two ids."""
    odd = ["", "\x01", "\x1f", "'", '"', "\\", '\\"', "\\u0041", "A", "\u2028", "🥖", "\xe9", "e\u0301"]
    for night, items in ((MONDAY, odd), (TUESDAY, odd[::-1])):
        shards = [lists((user,), items) for user in odd]
        assert store.publish(candidate(night), shards).switched
        found = {user: [row.item_id for row in store.user_list(user)] for user in odd}
        assert found == dict.fromkeys(odd, items)


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


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=30)
# What the layouts themselves are made of, more often than chance would have it.
hostile = st.one_of(
    texts, st.text(st.sampled_from("\x1f\x1e\x01\"\\,[]{}'\n\r\t\u2028\ue000\x7f é"), max_size=8)
)
rows = st.tuples(hostile, st.floats(width=32, allow_nan=False, allow_infinity=False), hostile, hostile)


@settings(
    max_examples=25, database=None, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    shards=st.lists(
        st.dictionaries(hostile, st.lists(rows, min_size=1, max_size=5), min_size=1, max_size=4),
        min_size=1,
        max_size=3,
    ),
    many=st.sampled_from([1, 3, 100]),
)
def test_any_text_and_score_come_back(store, shards, many):
    """Lists of any length, in any number of shards, with texts in any number of parts, read through the view."""
    whole, frames = {}, []
    for shard in shards:
        mine = {user: made for user, made in shard.items() if user not in whole}
        whole |= mine
        frames.append(frame_of(mine))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coding, "MANY", many)
        generation = store.load_generation(candidate(top_k=1), frames, StoreSettings(max_duplicates=1.0))
    assert (generation.state, generation.users) == ("ready", len(whole))
    with store.engine.begin() as connection:
        connection.execute(update(Live).values(generation_id=generation.id))
    for user, made in whole.items():
        found = [(row.item_id, row.score, row.source, row.reason) for row in store.user_list(user)]
        assert found == [(item, pytest.approx(score, rel=1e-7), *why) for item, score, *why in made]


def frame_of(shard):
    made = [(user, rank, *row) for user, lines in shard.items() for rank, row in enumerate(lines, 1)]
    return pl.DataFrame(made, schema=TYPES, orient="row")


def test_scores_come_back_to_the_last_bit(store):
    every_exponent = np.arange(2**9, dtype=np.uint32) << 23
    some = np.random.default_rng(1).integers(0, 2**32, 400, dtype=np.uint32)
    bits = np.concatenate([every_exponent, every_exponent + 1, every_exponent + 0x7FFFFF, some])
    scores = bits.view(np.float32)[np.isfinite(bits.view(np.float32))]
    frame = lists(("ann",), [f"item {n}" for n in range(len(scores))]).with_columns(score=pl.Series(scores))
    store.publish(candidate(), [frame])
    assert [np.float32(row.score) for row in store.user_list("ann")] == scores.tolist()


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf")])
def test_a_score_that_is_no_number_is_not_lost_with_its_list(store, score):
    frame = lists(("ann",)).with_columns(score=pl.Series([1.0, score, 0.5], dtype=pl.Float32))
    store.publish(candidate(), [frame])
    first, second, third = (row.score for row in store.user_list("ann"))
    # SQLite has no word for it.
    assert (first, str(second), third) == (1.0, str(score) if is_postgresql(store.engine) else "None", 0.5)


def test_a_text_is_kept_once_however_many_rows_give_it(store):
    store.publish(candidate(), [lists(("ann", "bob")), lists(("cy",), ("tea", "milk", "oat"))])
    with store.engine.connect() as connection:
        kept = connection.execute(select(TEXTS.c.text)).scalars().all()
    assert sorted(kept) == [
        "repeat",
        *(f"you bought {item} before" for item in ("milk", "oat", "rye", "tea")),
    ]


def test_reasons_of_every_row_s_own_come_back(store, monkeypatch):
    monkeypatch.setattr(coding, "MANY", 5)
    users = [f"shopper {n}" for n in range(20)]
    frames = [lists((user,)).with_columns(reason=pl.lit(f"{user}, ") + pl.col("reason")) for user in users]
    store.publish(candidate(), frames)
    for user in users:
        assert store.user_list(user)[2].reason == f"{user}, you bought rye before"


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


def test_a_code_that_another_run_has_given_meanwhile_is_no_second_list(store, monkeypatch):
    def read_and_overtaken(connection):
        found = item_ids(connection)
        # SQLite lets nobody else write meanwhile; what its key says is the same.
        other = store.engine.connect() if is_postgresql(store.engine) else connection
        other.execute(insert(CODED_ITEMS).values(code=len(found).to_bytes(4, "big"), item_id="fig"))
        if other is not connection:
            other.commit()
            other.close()
        return found

    monkeypatch.setattr(fill, "item_ids", read_and_overtaken)
    with pytest.raises(Busy, match="another run loaded lists meanwhile; nothing was loaded; publish again"):
        store.load_generation(candidate(), [lists()])
    assert (rows_of(store), store.generations()) == ([], [])
    monkeypatch.undo()
    assert store.publish(candidate(), [lists()]).switched


def test_lists_with_a_fault_are_kept_for_inspection(store):
    generation = store.load_generation(
        candidate(), [lists(items=("tea", "tea", "rye"))], StoreSettings(), pl.Series(["tea", "rye"])
    )
    assert generation.state == "refused"
    assert generation.audit["duplicates"] == 2
    assert len(rows_of(store)) == 2
