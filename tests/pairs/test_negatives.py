import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_tasks.pairs.negatives import sample_negatives
from recsys_tasks.pairs.orders import NEGATIVE_ORDER
from recsys_tasks.pairs.positives import positive_pairs
from recsys_tasks.pairs.touched import Touched
from recsys_tasks.schema import Negatives
from recsys_tasks.settings import PairSettings
from tests.pairs.logs import rows
from tests.pairs.shop import WEIGHTS, day, log, shuffled

UNTIL = 51.0


def negatives_of(events, seed=1, until=UNTIL, pairs=None, **settings):
    chosen = PairSettings(**settings)
    pairs = positive_pairs(events, chosen, WEIGHTS, day(until)) if pairs is None else pairs
    return sample_negatives(pairs, events, chosen, seed, day(until))


def crowd(*popular: tuple[str, int]):
    """Ann takes tent and bag; others take each popular item so many times."""
    others = [(f"u{n}", item, "view", 1.0) for item, count in popular for n in range(count)]
    return log(("ann", "tent", "view", 50), ("ann", "bag", "view", 50.5), *others)


def test_every_pair_gets_its_distinct_negatives():
    found = negatives_of(crowd(*((f"i{n}", 2) for n in range(9))), negatives_per_pair=4).filter(
        pl.col("user_id") == "ann"
    )
    assert found["anchor_id"].to_list() == ["tent"] * 4
    assert found["negative_id"].n_unique() == 4


def test_a_shopper_who_touched_everything_gets_none_and_the_night_goes_on():
    assert negatives_of(crowd()).is_empty()


def test_fewer_untouched_items_than_asked_for_give_fewer_negatives():
    found = negatives_of(crowd(("i1", 1), ("i2", 1)), negatives_per_pair=4).filter(pl.col("user_id") == "ann")
    assert found["negative_id"].to_list() == ["i1", "i2"]


@pytest.mark.parametrize(("exponent", "share"), [(0.0, 0.5), (0.5, 0.75), (1.0, 0.9)])
def test_popular_items_are_drawn_by_the_power_of_their_count(exponent, share):
    # 2,000 shoppers with one pair each; the two items nobody of them touched count 900 and 100.
    fans = [(f"v{n}", "big" if n < 900 else "small", "view", 1.0) for n in range(1000)]
    takers = [(f"u{n:04}", item, "view", 50.0) for n in range(2000) for item in ("tent", "bag")]
    events = log(*fans, *takers)
    found = negatives_of(events, negatives_per_pair=1, popularity_exponent=exponent, max_per_item=5000)[
        "negative_id"
    ]
    # A shopper whose thirty draws all hit what she owns goes without: .8 ** 30 of them at the most.
    assert len(found) >= 1990
    assert (found == "big").mean() == pytest.approx(share, abs=0.03)


def test_another_seed_draws_others():
    events = crowd(*((f"i{n}", 2) for n in range(50)))
    assert negatives_of(events, seed=1).equals(negatives_of(events, seed=1))
    assert not negatives_of(events, seed=1).equals(negatives_of(events, seed=2))


def test_no_pairs_no_negatives():
    assert Negatives.is_valid(negatives_of(log(("ann", "tent", "view", 1))))


@given(rows)
def test_a_negative_was_never_touched_by_its_shopper(rows):
    events = log(*rows)
    before = events.filter(pl.col("occurred_at") < day(UNTIL))
    found = negatives_of(events)
    own = found.join(before, left_on=["user_id", "negative_id"], right_on=["user_id", "item_id"], how="semi")
    assert own.is_empty()
    assert set(found["negative_id"]) <= set(before["item_id"])
    assert found.equals(found.sort(NEGATIVE_ORDER))
    assert found.is_unique().all()


@given(rows, rows, st.integers(0, 5))
def test_neither_arrival_nor_the_future_changes_a_draw(rows, later, seed):
    events = log(*rows)
    more = log(*rows, *((u, f"new-{i}", k, d + UNTIL) for u, i, k, d in later))
    assert negatives_of(shuffled(more, seed)).equals(negatives_of(events))


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 40)), min_size=1, max_size=300),
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 40)), max_size=300),
)
def test_touched_answers_like_a_set(touches, questions):
    users, items = np.array(touches, dtype=np.int64).T
    asked_users, asked_items = np.array(questions, dtype=np.int64).reshape(-1, 2).T
    answers = Touched(users, items, 41).contains(asked_users, asked_items)
    assert answers.tolist() == [question in set(touches) for question in questions]
