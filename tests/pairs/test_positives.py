import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_tasks.pairs import keys
from recsys_tasks.pairs.orders import PAIR_ORDER
from recsys_tasks.pairs.positives import positive_pairs
from recsys_tasks.schema import Pairs
from recsys_tasks.settings import PairSettings
from tests.pairs.logs import rows
from tests.pairs.shop import WEIGHTS, day, log, shuffled

MINUTE = 1 / 1440
FOLLOWERS = PairSettings().followers


def pairs_of(events, until=100.0, **settings):
    return positive_pairs(events, PairSettings(**settings), WEIGHTS, day(until))


def ids(pairs):
    return set(pairs.select("anchor_id", "positive_id").iter_rows())


@pytest.mark.parametrize("minutes", [1, 10, 30])
def test_a_later_item_of_the_same_shopper_is_a_positive(minutes):
    events = log(("ann", "tent", "view", 90), ("ann", "bag", "purchase", 90 + minutes * MINUTE))
    (pair,) = pairs_of(events, window_minutes=30).iter_rows(named=True)
    assert (pair["user_id"], pair["anchor_id"], pair["positive_id"]) == ("ann", "tent", "bag")
    assert pair["occurred_at"] == events["occurred_at"][1]


@pytest.mark.parametrize(
    ("why", "second"),
    [
        ("another shopper", ("bob", "bag", "view", 90.0)),
        ("too late", ("ann", "bag", "view", 91.01)),
        ("same item", ("ann", "tent", "view", 90.5)),
        ("unweighted kind", ("ann", "bag", "impression", 90.5)),
        ("at the cut", ("ann", "bag", "view", 100.0)),
        ("after the cut", ("ann", "bag", "view", 100.5)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_no_pair_when(why, second):
    first_day = 99.9 if second[3] >= 100 else 90.0
    assert pairs_of(log(("ann", "tent", "view", first_day), second)).is_empty()


def test_items_of_one_instant_are_paired_once_and_not_with_themselves():
    found = ids(pairs_of(log(("ann", "tent", "view", 90), ("ann", "bag", "view", 90))))
    assert found in ({("tent", "bag")}, {("bag", "tent")})


def test_a_basket_does_not_explode():
    basket = log(*(("ann", f"i{n:03}", "purchase", 90.0) for n in range(200)))
    assert len(pairs_of(basket, max_per_user=10_000)) == FOLLOWERS * 200 - sum(range(1, FOLLOWERS + 1))


def test_neighbours_in_a_basket_are_not_neighbours_by_id():
    basket = log(*(("ann", f"i{n:03}", "purchase", 90.0) for n in range(200)))
    distance = [abs(int(a[1:]) - int(p[1:])) for a, p in ids(pairs_of(basket, max_per_user=10_000))]
    assert sum(distance) / len(distance) == pytest.approx(200 / 3, rel=0.15)


def test_the_weight_is_the_positives_type_halved_by_age():
    events = log(("ann", "tent", "purchase", 79.9), ("ann", "bag", "cart", 80))
    pairs = pairs_of(events, half_life_days=10)
    assert pairs["weight"].to_list() == pytest.approx([3.0 / 4])


@pytest.mark.parametrize("seed", range(4))
def test_of_two_events_in_one_instant_the_heavier_counts(seed):
    twice = [("ann", "bag", kind, 80) for kind in ("view", "purchase", "cart")]
    pairs = pairs_of(
        shuffled(log(("ann", "tent", "view", 79.9), *twice), seed), until=80.001, half_life_days=1000
    )
    assert pairs["weight"].to_list() == pytest.approx([5.0], rel=1e-3)


def test_a_very_old_pair_keeps_some_weight():
    events = log(("ann", "tent", "view", 0), ("ann", "bag", "view", 0.1))
    assert pairs_of(events, half_life_days=0.01)["weight"][0] > 0


def test_events_older_than_the_history_take_no_part():
    events = log(("ann", "tent", "view", 69.9), ("ann", "bag", "view", 70), ("ann", "mat", "view", 70.1))
    assert ids(pairs_of(events, history_days=30)) == {("bag", "mat")}


def test_the_newest_pairs_of_a_shopper_stay():
    events = log(
        *(("ann", f"i{n}", "view", 10.0 * n) for n in range(5)),
        *(("ann", f"j{n}", "view", 10.0 * n + 0.1) for n in range(5)),
    )
    assert ids(pairs_of(events, max_per_user=2)) == {("i4", "j4"), ("i3", "j3")}


def test_the_newest_pairs_of_an_anchor_stay():
    events = log(
        *(
            row
            for n in range(4)
            for row in ((f"u{n}", "milk", "view", 10.0 * n), (f"u{n}", f"i{n}", "view", 10.0 * n + 0.1))
        )
    )
    assert ids(pairs_of(events, max_per_item=1)) == {("milk", "i3")}


def test_the_newest_pairs_of_all_stay():
    events = log(
        *(
            row
            for n in range(4)
            for row in ((f"u{n}", f"a{n}", "view", 10.0 * n), (f"u{n}", f"i{n}", "view", 10.0 * n + 0.1))
        )
    )
    assert ids(pairs_of(events, max_pairs=2)) == {("a3", "i3"), ("a2", "i2")}


def test_a_repeated_pair_counts_once_with_its_newest_time():
    events = log(
        *(
            ("ann", item, "view", when + late)
            for when in (10.0, 20.0)
            for item, late in (("tent", 0), ("bag", 0.1))
        )
    )
    (pair,) = pairs_of(events).iter_rows(named=True)
    assert pair["occurred_at"] == day(20.1)


def test_an_empty_log_keeps_the_contract():
    assert Pairs.is_valid(pairs_of(log()))
    assert pairs_of(log()).is_empty()


@given(rows, st.integers(1, 60))
def test_no_pair_crosses_the_cut_or_the_window(rows, until):
    events = log(*rows)
    for pair in pairs_of(events, until=until).iter_rows(named=True):
        own = events.filter(pl.col("user_id") == pair["user_id"], pl.col("event_type") != "impression")
        anchors = own.filter(pl.col("item_id") == pair["anchor_id"])["occurred_at"]
        positives = own.filter(pl.col("item_id") == pair["positive_id"])["occurred_at"]
        assert pair["occurred_at"] < day(until)
        assert pair["occurred_at"] in positives
        gaps = [(pair["occurred_at"] - at).total_seconds() for at in anchors]
        assert any(0 <= gap <= 86_400 for gap in gaps)


@given(rows, st.integers(0, 5))
def test_the_order_of_arrival_changes_nothing(rows, seed):
    events = log(*rows)
    pairs = pairs_of(events, until=40.0, max_per_user=6, max_per_item=2, max_pairs=12)
    again = pairs_of(shuffled(events, seed), until=40.0, max_per_user=6, max_per_item=2, max_pairs=12)
    assert again.equals(pairs)
    assert pairs.equals(pairs.sort(PAIR_ORDER))
    assert pairs.select(PAIR_ORDER).is_unique().all()


@given(rows, rows)
def test_what_happens_from_the_cut_on_changes_nothing(rows, later):
    events = log(*rows)
    more = log(*rows, *((u, f"new-{i}", k, d + 51) for u, i, k, d in later))
    assert pairs_of(more, until=51.0).equals(pairs_of(events, until=51.0))


def plain_pairs(rows, gap=None, followers=5):
    """The definition, for a log whose shoppers have no two events in one instant."""
    found = set()
    for shopper in {user for user, *_ in rows}:
        events = sorted((d, i) for u, i, k, d in rows if u == shopper and k in WEIGHTS)
        for place, (at, anchor) in enumerate(events):
            for (before, _), (late, positive) in zip(
                events[place : place + followers], events[place + 1 : place + 1 + followers], strict=False
            ):
                if gap is not None and late - before > gap:
                    break
                if late - at <= 1 and positive != anchor:
                    found.add((shopper, anchor, positive))
    return found


@given(rows, st.sampled_from([None, 0.25, 0.5]), st.integers(1, 5))
def test_pairs_are_those_of_the_plain_loops(rows, gap, followers):
    once = list({(user, when): (user, item, kind, when) for user, item, kind, when in rows}.values())
    minutes = None if gap is None else round(gap * 1440)
    pairs = pairs_of(log(*once), followers=followers, session_gap_minutes=minutes, max_per_user=10_000)
    found = set(pairs.select("user_id", "anchor_id", "positive_id").iter_rows())
    assert found == plain_pairs(once, gap, followers)


@given(rows)
def test_a_log_too_wide_for_keys_gives_the_same_pairs(rows):
    events = log(*rows)
    narrow = pairs_of(events)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys.Layout, "fits", property(lambda _: False))
        assert pairs_of(events).equals(narrow)


@given(rows, rows)
def test_events_before_the_history_change_no_order_within_an_instant(rows, older):
    recent = [(user, item, kind, 60 + int(when) % 3) for user, item, kind, when in rows]
    before = [("aaa", f"h{item}", kind, when / 10) for _, item, kind, when in older]
    settings = {"history_days": 50, "max_per_user": 10_000}
    assert pairs_of(log(*recent, *before), **settings).equals(pairs_of(log(*recent), **settings))
