"""Every kind of negative against its definition, and their shares."""

from collections import Counter, defaultdict
from math import sqrt

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from recsys_tasks.pairs.coding import code_log
from recsys_tasks.pairs.draws import Popular, of_another_shopper, uniform
from recsys_tasks.pairs.negatives import _Draw, _hard_places, sample_negatives
from recsys_tasks.pairs.neighbours import Neighbours, taken_together
from recsys_tasks.pairs.positives import positive_pairs
from recsys_tasks.settings import PairSettings
from tests.pairs.logs import many_rows
from tests.pairs.shop import WEIGHTS, day, log

UNTIL = 51.0
LISTS = {"anchor_id": pl.String, "item_id": pl.String, "likeness": pl.Float64}
kinds = st.sampled_from(
    [
        {"uniform": 1.0},
        {"other_shopper": 1.0},
        {"hard": 1.0},
        {"popular": 0.25, "uniform": 0.25, "other_shopper": 0.25, "hard": 0.25},
    ]
)


def negatives_of(events, shares, neighbours=None, **settings):
    chosen = PairSettings(negatives=shares, **settings)
    pairs = positive_pairs(events, chosen, WEIGHTS, day(UNTIL))
    lists = None if neighbours is None else pl.DataFrame(neighbours, LISTS, orient="row")
    return sample_negatives(pairs, events, chosen, 1, day(UNTIL), lists)


def crowd(*others):
    return log(("ann", "tent", "view", 50), ("ann", "bag", "view", 50.5), *others)


@given(many_rows, kinds)
def test_no_kind_gives_what_the_shopper_has_touched_or_twice_the_same(rows, shares):
    found = negatives_of(log(*rows), shares)
    touched = {(user, item) for user, item, *_, when in rows if when < UNTIL}
    assert not touched & set(found.select("user_id", "negative_id").iter_rows())
    assert set(found["negative_id"]) <= {item for _, item in touched}
    assert found.is_unique().all()
    assert found.equals(found.sort("user_id", "anchor_id", "negative_id"))


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_popular_items_are_those_a_search_among_the_totals_finds(exponent):
    rng = np.random.default_rng(2)
    shares = rng.zipf(1.3, 3_000).clip(max=10**6).astype(np.float64) ** exponent
    until = np.cumsum(shares)
    dice = np.concatenate([rng.random(50_000), until / until[-1], [0.0, np.nextafter(1.0, 0.0)]])
    dice = dice[dice < 1.0]
    expected = np.minimum(np.searchsorted(until, dice * until[-1], side="right"), len(until) - 1)
    assert np.array_equal(Popular(shares).items(dice), expected)


def test_uniform_draws_every_item_alike():
    drawn = uniform(np.random.default_rng(3).random(60_000), 6)
    assert np.bincount(drawn).tolist() == pytest.approx([10_000] * 6, rel=0.05)


def test_another_shopper_is_each_other_alike_and_then_each_item_alike():
    # Shopper 0 has one item, 1 has two, 2 has none, 3 has four; shopper 1 asks.
    starts, items = np.array([0, 1, 3, 3, 7]), np.arange(7, dtype=np.uint32)
    dice = np.random.default_rng(3).random(80_000)
    share = np.bincount(of_another_shopper(dice, np.full(80_000, 1), starts, items), minlength=7) / 80_000
    assert share.tolist() == pytest.approx([1 / 2, 0, 0, *[1 / 8] * 4], abs=0.01)


@pytest.mark.parametrize("each", [1, 3, 4, 5])
def test_shares_are_met_exactly_over_all_pairs_and_nearly_by_each(each):
    draw = object.__new__(_Draw)
    draw._each, draw._until = each, np.cumsum([0.1, 0.2, 0.3, 0.4]).round(12)
    rows = np.arange(each * 1000)
    kind = draw._kinds(rows).reshape(1000, each)
    for number, share in enumerate((0.1, 0.2, 0.3, 0.4)):
        assert (kind == number).mean() == pytest.approx(share, abs=0.002)
        per_pair = (kind == number).sum(axis=1)
        assert set(per_pair.tolist()) <= {int(share * each), int(share * each) + 1, round(share * each)}


def test_what_is_drawn_has_the_shares_that_were_asked_for():
    """A shop whose kinds can be told apart: one item that is popular, one that is near, five hundred others."""
    pairs, others = 300, 500
    events = [
        (f"u{user:03}", item, "view", 50 + after)
        for user in range(pairs)
        for item, after in (("a", 0), ("b", 0.5))
    ]
    events += [(f"v{user:04}", "hit", "view", 1.0) for user in range(4000)]
    events += [(f"w{number:03}", f"other{number:03}", "view", 1.0) for number in range(others)]
    events += [("x", "near", "view", 1.0)]
    found = negatives_of(
        log(*events),
        {"popular": 0.25, "hard": 0.25, "uniform": 0.5},
        [("a", "b", 0.9), ("a", "near", 0.1)],
        popularity_exponent=1.0,
        max_per_item=pairs,
    )
    asked = found.filter(pl.col("anchor_id") == "a")
    # Where a uniform draw took the hit, its pair finds none by popularity in many turns, and may go without.
    assert 4 * pairs - 3 <= len(asked) <= 4 * pairs
    share = dict(asked["negative_id"].value_counts(normalize=True).iter_rows())
    # One draw by popularity in nine meets something else, and a uniform one in 250 one of the two.
    assert share["near"] == pytest.approx(0.25, abs=0.02)
    assert share["hit"] == pytest.approx(0.25 * 4000 / 4501, abs=0.03)
    assert asked["negative_id"].n_unique() > 0.6 * others


@pytest.mark.parametrize(
    ("margin", "expected"), [(0.0, {"lamp", "mat", "rope"}), (0.1, {"mat", "rope"}), (0.5, {"rope"})]
)
def test_a_hard_negative_is_near_the_anchor_but_less_than_its_positive(margin, expected):
    lists = [
        ("tent", "stove", 0.9),
        ("tent", "bag", 0.6),
        ("tent", "lamp", 0.55),
        ("tent", "mat", 0.5),
        ("tent", "rope", 0.2),
        ("bag", "stove", 0.1),
    ]
    others = [("bob", item, "view", 1.0) for item in ("stove", "lamp", "mat", "rope")]
    # As many as there are candidates: all of them are drawn, and no popular item has to take a place.
    found = negatives_of(
        crowd(*others), {"hard": 1.0}, lists, hard_margin=margin, negatives_per_pair=len(expected)
    )
    assert set(found.filter(pl.col("anchor_id") == "tent")["negative_id"]) == expected


def test_the_least_like_of_an_anchors_positives_draws_the_line():
    # Item 0 is near 1, 2, 3, 4, the likest first; one shopper took 1 behind it, another 1 and 3.
    near = Neighbours(
        np.array([0, 4, 4, 4, 4, 4]), np.arange(1, 5, dtype=np.uint32), np.array([0.9, 0.5, 0.3, 0.1])
    )
    anchor, positive, group = np.zeros(3, dtype=np.uint32), np.array([1, 1, 3]), np.array([0, 1, 1])
    begin, end = _hard_places(anchor, positive, group, near, 0.05)
    assert [near.items[b:e].tolist() for b, e in zip(begin, end, strict=True)] == [[2, 3, 4], [4]]


def test_without_a_listed_positive_popular_items_take_the_place_of_hard_ones():
    events = crowd(("bob", "lamp", "view", 1.0), ("bob", "rope", "view", 1.0))
    found = negatives_of(events, {"hard": 1.0}, [("tent", "rope", 0.4)], negatives_per_pair=2)
    assert found.filter(pl.col("anchor_id") == "tent")["negative_id"].to_list() == ["lamp", "rope"]


@given(many_rows)
def test_neighbours_are_what_plain_counting_finds(rows):
    events = log(*rows)
    settings = PairSettings(hard_neighbours=3, max_per_item=1000, history_days=60)
    pairs = positive_pairs(events, settings, WEIGHTS, day(60)).select("anchor_id", "positive_id").rows()
    held, together = Counter(), Counter()
    for anchor, positive in pairs:
        held.update((anchor, positive))
        together.update(((anchor, positive), (positive, anchor)))
    expected = defaultdict(list)
    for (a, b), count in together.items():
        expected[a].append((-count / sqrt(held[a] * held[b]), b))
    coded = code_log(events, WEIGHTS, day(60))
    near = taken_together(coded, settings, day(60))
    for code, item in enumerate(coded.items):
        some = slice(near.starts[code], near.starts[code + 1])
        found = [coded.items[int(neighbour)] for neighbour in near.items[some]]
        assert found == [b for _, b in sorted(expected[item])[:3]]


@pytest.mark.parametrize(
    "shares",
    [{"popular": 0.5}, {"popular": 0.7, "hard": 0.7}, {}, {"popular": 1.0, "lucky": 0.0}, {"uniform": 1.5}],
)
def test_shares_that_do_not_add_up_to_one_stop_the_run(shares):
    with pytest.raises(ValidationError, match=r"add up to|extra_forbidden|less_than_equal"):
        PairSettings(negatives=shares)


def test_the_default_draws_by_popularity_alone():
    many = [("bob", f"i{n:03}", "view", 1.0) for n in range(300)]
    events = crowd(*many, *(("bob", "i007", "view", 2.0 + n / 10) for n in range(100)))
    plain = sample_negatives(
        positive_pairs(events, PairSettings(), WEIGHTS, day(UNTIL)), events, PairSettings(), 1, day(UNTIL)
    )
    assert plain.equals(negatives_of(events, {"popular": 1.0}))
    assert not plain.equals(negatives_of(events, {"uniform": 1.0}))
