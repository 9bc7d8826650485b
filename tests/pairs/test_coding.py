import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from recsys_tasks.pairs.coding import code_log, instants, micros, mix
from tests.pairs.logs import rows
from tests.pairs.shop import WEIGHTS, day, log


@given(rows)
def test_codes_lead_back_to_their_ids_and_keep_their_order(rows):
    events = log(*rows)
    coded = code_log(events)
    assert coded.user_ids(coded.rows["user"]).equals(events["user_id"])
    assert coded.item_ids(coded.rows["item"]).equals(events["item_id"])
    assert instants(coded.rows["at"], "occurred_at").equals(events["occurred_at"])
    assert coded.items.is_sorted()


def test_types_without_a_weight_have_none_and_later_events_are_left_out():
    events = log(("ann", "tent", "view", 1), ("ann", "bag", "impression", 1), ("ann", "mat", "cart", 2))
    coded = code_log(events, WEIGHTS, day(2))
    assert coded.items.to_list() == ["bag", "tent"]
    assert coded.rows.sort("item")["weight"].to_list() == [None, 1.0]


def test_an_id_the_log_does_not_hold_has_no_code():
    user, item = code_log(log(("ann", "tent", "view", 1))).codes(
        pl.Series(["ann", "bob"]), pl.Series(["bag", "tent"])
    )
    assert (user.tolist(), item.tolist()) == ([0, -1], [-1, 0])


def test_an_instant_keeps_its_microsecond():
    moment = day(0).replace(microsecond=123_457, year=2107)
    assert instants(pl.Series([micros(moment)]), "t").item() == moment


def test_the_hash_is_the_same_on_every_machine():
    # These numbers are part of the pairs' identity: if they change, every shop's pairs do.
    assert mix(np.arange(2), np.arange(2)).tolist() == [0, 4618857875736427910]


@given(st.lists(st.integers(0, 2**40), min_size=2, max_size=50, unique=True))
def test_the_hash_tells_rows_apart(numbers):
    column = np.array(numbers, dtype=np.int64)
    assert len(set(mix(column, column[::-1]).tolist())) == len(numbers)
