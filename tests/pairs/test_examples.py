from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_tasks.pairs.examples import basket_examples
from recsys_tasks.pairs.orders import EXAMPLE_ORDER
from recsys_tasks.schema import Examples
from recsys_tasks.settings import PairSettings
from tests.pairs.logs import many_rows, rows
from tests.pairs.shop import WEIGHTS, day, log, shuffled

PURCHASE = ["purchase"]
SMALL = {"target_days": 8, "example_every_days": 4, "history_days": 40, "max_positives": 3}


def examples_of(events, until=100.0, zone="UTC", target_events=PURCHASE, **settings):
    return basket_examples(
        events,
        PairSettings(**settings),
        WEIGHTS,
        day(until),
        target_events=target_events,
        zone=ZoneInfo(zone),
    )


def cuts(examples):
    return examples["history_until"].unique().sort().to_list()


def test_the_last_cut_leaves_room_for_a_whole_target_period():
    events = log(("ann", "tent", "view", 0), *(("ann", "bag", "purchase", float(d)) for d in range(1, 100)))
    assert cuts(examples_of(events, target_days=28, example_every_days=7, history_days=44)) == [
        day(58),
        day(65),
        day(72),
    ]


def test_an_example_holds_what_was_taken_in_its_period():
    events = log(
        ("ann", "tent", "purchase", 10),
        ("ann", "stove", "purchase", 71.9),
        ("ann", "tent", "purchase", 72),
        ("ann", "bag", "purchase", 80),
        ("ann", "lamp", "view", 81),
        ("ann", "mat", "purchase", 99.9),
        ("ann", "rope", "purchase", 100),
    )
    last = examples_of(events).filter(pl.col("history_until") == day(72)).row(0, named=True)
    assert dict(zip(last["positive_ids"], last["is_new"], strict=True)) == {
        "tent": False,
        "bag": True,
        "mat": True,
    }
    assert last["positives_until"] == day(99.9)


def test_a_period_ends_before_its_last_instant():
    events = log(("ann", "tent", "view", 10), ("ann", "bag", "purchase", 71), ("ann", "mat", "purchase", 93))
    found = examples_of(events, target_days=28, history_days=35)
    assert dict(found.select("history_until", "positive_ids").iter_rows()) == {
        day(65): ["bag"],
        day(72): ["mat"],
    }


def test_an_item_that_was_only_viewed_before_is_not_new():
    events = log(("ann", "tent", "view", 71), ("ann", "tent", "purchase", 75))
    assert examples_of(events)["is_new"].to_list() == [[False]]


def test_an_item_that_was_shown_before_is_not_new_but_showing_makes_no_history():
    shown = ("ann", "bag", "impression", 60.0)
    taken = ("ann", "bag", "purchase", 75.0)
    assert examples_of(log(shown, taken)).is_empty()
    assert examples_of(log(("ann", "tent", "view", 50), shown, taken))["is_new"].to_list() == [
        [True],
        [True],
        [False],
        [False],
    ]


def test_no_history_no_example():
    assert examples_of(log(("ann", "tent", "purchase", 72), ("ann", "bag", "purchase", 73))).is_empty()


def test_what_counts_as_taken_is_a_setting():
    events = log(("ann", "tent", "view", 10), ("ann", "bag", "cart", 80))
    assert examples_of(events, target_days=28, history_days=28).is_empty()
    found = examples_of(events, target_events=None, target_days=28, history_days=28)
    assert found["positive_ids"].to_list() == [["bag"]]


def test_of_too_many_items_the_heaviest_stay_and_then_the_newest():
    bought = [("often", 73.0), ("often", 74.0), ("old", 75.0), ("mid", 76.0), ("new", 77.0)]
    events = log(("ann", "tent", "view", 1), *(("ann", item, "purchase", when) for item, when in bought))
    (row,) = examples_of(events, history_days=28, max_positives=3).iter_rows(named=True)
    assert row["positive_ids"] == ["often", "new", "mid"]
    assert row["positives_until"] == day(77)


def test_cuts_are_midnights_of_the_shop_also_across_a_change_of_clocks():
    zone = ZoneInfo("America/New_York")
    midnight = datetime(2026, 4, 1, tzinfo=zone)
    until = (midnight.astimezone(UTC) - day(0)) / timedelta(days=1)
    events = log(("ann", "tent", "view", 0), *(("ann", "bag", "purchase", d / 2) for d in range(2, 180)))
    found = examples_of(
        events, until=until, zone=str(zone), target_days=7, example_every_days=7, history_days=60
    )
    assert [cut.astimezone(zone).hour for cut in cuts(found)] == [0] * 8
    assert cuts(found)[-1] == datetime(2026, 3, 25, tzinfo=zone)
    assert {cut.hour for cut in cuts(found)} == {4, 5}


def test_the_end_may_be_any_instant():
    events = log(("ann", "tent", "view", 0), ("ann", "bag", "purchase", 60.2))
    assert cuts(examples_of(events, until=61.25, target_days=7, example_every_days=7)) == [day(54.25)]


@pytest.mark.parametrize("settings", [{"history_days": 10, "target_days": 28}, {}])
def test_an_empty_answer_keeps_the_contract(settings):
    found = examples_of(log(("ann", "tent", "view", 1)), **settings)
    assert Examples.is_valid(found)
    assert found.is_empty()


def by_hand(
    events: pl.DataFrame, until: float
) -> list[tuple[str, datetime, list[str], datetime, list[bool]]]:
    """The definition, with loops."""
    known = [row for row in events.iter_rows(named=True) if row["occurred_at"] < day(until)]
    found = []
    for back in range(8, 41, 4):
        cut, end = day(until - back), day(until - back + 8)
        for user in ("ann", "bob", "cem"):
            own = [row for row in known if row["user_id"] == user]
            before = {row["item_id"] for row in own if row["occurred_at"] < cut}
            history = any(row["event_type"] in WEIGHTS and row["occurred_at"] < cut for row in own)
            taken = [
                row for row in own if row["event_type"] == "purchase" and cut <= row["occurred_at"] < end
            ]
            newest = {
                i: max(r["occurred_at"] for r in taken if r["item_id"] == i)
                for i in {r["item_id"] for r in taken}
            }
            weight = {i: sum(5.0 for r in taken if r["item_id"] == i) for i in newest}
            kept = sorted(newest, key=lambda i: (-weight[i], -newest[i].timestamp(), i))[:3]
            if history and kept:
                found.append((user, cut, kept, max(newest[i] for i in kept), [i not in before for i in kept]))
    return sorted(found, key=lambda row: (row[1], row[0]))


@given(many_rows, st.integers(20, 50), st.integers(0, 5))
def test_examples_are_what_the_definition_says(rows, until, seed):
    events = log(*rows)
    found = examples_of(shuffled(events, seed), until=until, **SMALL)
    assert found.rows() == by_hand(events, until)
    assert found.equals(found.sort(EXAMPLE_ORDER))


@given(rows, rows)
def test_what_happens_from_the_cut_on_changes_nothing(rows, later):
    more = log(*rows, *((u, f"new-{i}", k, d + 51) for u, i, k, d in later))
    assert examples_of(more, until=51.0, **SMALL).equals(examples_of(log(*rows), until=51.0, **SMALL))


@given(rows)
def test_no_target_reaches_the_cut_or_its_own_history(rows):
    found = examples_of(log(*rows), until=45.0, **SMALL)
    assert (found["positives_until"] < day(45)).all()
    assert (found["positives_until"] >= found["history_until"]).all()
    assert (found["history_until"] <= day(37)).all()


@given(many_rows)
def test_days_as_periods_are_the_next_items_with_their_history(rows):
    events = log(*rows)
    examples = examples_of(
        events, until=51.0, target_events=list(WEIGHTS), target_days=1, example_every_days=1, history_days=51
    )
    found = {
        (e["user_id"], e["history_until"], frozenset(zip(e["positive_ids"], e["is_new"], strict=True)))
        for e in examples.iter_rows(named=True)
    }
    expected = set()
    for user in {user for user, *_ in rows}:
        for cut in range(51):
            own = [(i, k, d) for u, i, k, d in rows if u == user]
            taken = {i for i, k, d in own if k in WEIGHTS and cut <= d < cut + 1}
            if taken and any(k in WEIGHTS and d < cut for _, k, d in own):
                new = {i: not any(j == i and d < cut for j, _, d in own) for i in taken}
                expected.add((user, day(cut), frozenset(new.items())))
    assert found == expected
