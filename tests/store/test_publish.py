"""Publish: what goes live, what is refused, and what readers see."""

import re

import polars as pl
import pytest

from recsys_tasks.errors import PublishRefused
from recsys_tasks.settings import StoreSettings
from tests.store.builders import MONDAY, OTHER, TUESDAY, candidate, lists, live_items


def test_published_lists_are_live(store):
    published = store.publish(candidate(fallback_share=0.25), [lists()], who="me")
    assert published.switched
    live = store.live()
    assert (live.id, live.night, live.rows, live.users, live.fallback_share) == (
        published.generation.id,
        MONDAY,
        6,
        2,
        0.25,
    )
    assert [(move.to_generation_id, move.moved_by) for move in store.moves()] == [(live.id, "me")]


def test_the_same_lists_again_change_nothing(store):
    first = store.publish(candidate(lists_ref="lists/m"), [lists()])
    again = store.publish(candidate(lists_ref="lists/m"), [lists()])
    assert (again.switched, again.why) == (False, "these lists are live already")
    assert again.generation.id == first.generation.id
    assert len(store.generations()) == len(store.moves()) == 1


def test_the_same_night_again_replaces_its_lists(store):
    store.publish(candidate(lists_ref="lists/a"), [lists()])
    assert store.publish(candidate(lists_ref="lists/b"), [lists(items=OTHER)]).switched
    assert live_items(store) == list(OTHER)


def test_lists_that_another_run_made_since_stay_live(store):
    """A failed publish that is run again in the morning, after another run has done the night."""
    store.publish(candidate(lists_ref="lists/b", run_id="b"), [lists()])
    late = candidate(lists_ref="lists/a", run_id="a", made_since="lists/b")
    published = store.publish(late, [lists(items=OTHER)])
    assert (published.switched, published.live) == (False, False)
    assert published.why == "the live lists of this night were made since, by run b (generation 1)"
    assert live_items(store) == ["tea", "milk", "rye"]


def test_lists_that_were_made_since_and_are_not_live_are_no_hindrance(store):
    store.publish(candidate(lists_ref="lists/b", run_id="b"), [lists()], dry_run=True)
    late = candidate(lists_ref="lists/a", run_id="a", made_since="lists/b")
    assert store.publish(late, [lists(items=OTHER)]).switched


def test_an_older_night_is_loaded_but_never_moves_the_live_lists(store):
    store.publish(candidate(TUESDAY), [lists()])
    published = store.publish(candidate(MONDAY), [lists(("ann",), OTHER)])
    assert not published.switched
    assert "newer (night 2026-03-03)" in published.why
    assert (store.live().night, published.generation.state) == (TUESDAY, "ready")


def test_whether_lists_are_live_is_said_apart_from_whether_they_went_live(store):
    first = store.publish(candidate(lists_ref="lists/m"), [lists()])
    again = store.publish(candidate(lists_ref="lists/m"), [lists()])
    dry = store.publish(candidate(TUESDAY), [lists()], dry_run=True)
    assert [(p.switched, p.live) for p in (first, again, dry)] == [
        (True, True),
        (False, True),
        (False, False),
    ]


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (lists(users=()), "no lists"),
        (lists(items=("tea", "tea", "rye")), "repeat an item"),
        (lists(items=("tea", "milk", "ghost")), "catalogue"),
        (lists(items=("tea", "milk")), "shorter than top_k"),
        (lists(users=("ann",)), "3 rows against 6"),
    ],
)
def test_refused_lists_leave_the_live_ones(store, frame, why):
    store.publish(candidate(), [lists()])
    known = pl.Series(["tea", "milk", "rye"])
    with pytest.raises(PublishRefused, match=why) as refused:
        store.publish(candidate(TUESDAY), [frame], known_items=known)
    assert "\n" not in str(refused.value)
    assert store.live().night == MONDAY
    assert [(g.night, g.state) for g in store.generations()] == [(MONDAY, "ready"), (TUESDAY, "refused")]
    assert why in store.generations()[-1].why
    assert re.search(r"run the night again|store\.max_", str(refused.value)), "it must say how to go on"


def test_a_shop_that_expects_to_shrink_says_so(store):
    store.publish(candidate(), [lists()])
    assert store.publish(candidate(TUESDAY), [lists(users=("ann",))], StoreSettings(max_shrink=0.5)).switched


def test_going_live_promotes_the_night_s_decision(store):
    store.record_decision(MONDAY, True, {"towers": "t"}, {}, {}, "better")
    generation = store.publish(candidate(), [lists()]).generation
    assert store.decision(MONDAY).generation_id == generation.id
