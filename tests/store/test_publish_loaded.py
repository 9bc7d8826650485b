"""Publish: lists that were loaded before, by a dry run or a run that died, go live as they are or are audited anew."""

import polars as pl
import pytest

from recsys_tasks.errors import PublishRefused
from recsys_tasks.settings import StoreSettings
from tests.store.builders import MONDAY, OTHER, TUESDAY, candidate, lists, live_items


def test_a_dry_run_loads_and_audits_but_does_not_switch(store):
    store.publish(candidate(), [lists()])
    published = store.publish(candidate(TUESDAY, lists_ref="lists/t"), [lists(items=OTHER)], dry_run=True)
    assert (published.switched, published.why, published.generation.state) == (False, "dry run", "ready")
    assert live_items(store) == ["tea", "milk", "rye"]


def test_lists_of_a_dry_run_go_live_without_being_loaded_again(store):
    dry = store.publish(candidate(lists_ref="lists/m"), [lists()], dry_run=True)
    published = store.publish(candidate(lists_ref="lists/m"), ())
    assert published.switched
    assert published.generation.id == dry.generation.id == store.live().id


KNOWN = pl.Series(["tea", "milk", "rye"])


LATER = [
    ("an item is blocked", {"offered_items": KNOWN[1:]}, StoreSettings(), "blocked or not available"),
    ("an item is withdrawn", {"known_items": KNOWN[:2]}, StoreSettings(), "catalogue of the night does not"),
    ("a limit is tightened", {}, StoreSettings(max_short=0.0), "shorter than top_k"),
]


@pytest.mark.parametrize(
    ("changed", "settings", "why"), [case[1:] for case in LATER], ids=[case[0] for case in LATER]
)
def test_lists_of_a_dry_run_are_held_against_what_holds_when_they_go_live(store, changed, settings, why):
    store.publish(candidate(), [lists()])
    frame, items = lists(("ann", "bob")), {"known_items": KNOWN, "offered_items": KNOWN}
    some_short = pl.concat([frame, lists(("cy",), ("tea", "milk"))])
    tonight, loose = candidate(TUESDAY, lists_ref="lists/t"), StoreSettings(max_short=0.5)
    store.publish(tonight, [some_short], loose, **items, dry_run=True)
    strict = settings if "max_short" in settings.model_fields_set else loose
    for _ in range(2):
        with pytest.raises(PublishRefused, match=why):
            store.publish(tonight, [some_short], strict, **{**items, **changed})
        assert store.live().night == MONDAY
    assert store.publish(tonight, [some_short], loose, **items).switched, (
        "what the dry run was held against holds again"
    )


def test_lists_of_a_dry_run_go_live_under_other_rules_that_they_keep(store):
    tonight = candidate(lists_ref="lists/m")
    dry = store.publish(tonight, [lists()], known_items=KNOWN, offered_items=KNOWN, dry_run=True)
    more = pl.concat([KNOWN, pl.Series(["fig"])])
    published = store.publish(tonight, [lists()], known_items=more, offered_items=more)
    assert published.switched
    assert published.generation.id != dry.generation.id
    assert published.generation.audit["coverage"] == pytest.approx(3 / 4)
    assert (
        store.publish(tonight, (), known_items=KNOWN, offered_items=KNOWN).why
        == "these lists are live already"
    )


def test_lists_that_were_loaded_by_a_run_that_died_are_not_loaded_again(store):
    """Between the load and the audit against the live lists."""
    left = store.load_generation(candidate(lists_ref="lists/m"), [lists()], known_items=KNOWN)
    published = store.publish(candidate(lists_ref="lists/m"), (), known_items=KNOWN)
    assert (published.switched, published.generation.id) == (True, left.id)


def test_the_order_of_the_items_is_no_other_catalogue(store):
    tonight = candidate(lists_ref="lists/m")
    dry = store.publish(tonight, [lists()], known_items=KNOWN, dry_run=True)
    published = store.publish(tonight, (), known_items=KNOWN.reverse())
    assert (published.switched, published.generation.id) == (True, dry.generation.id)


def test_lists_that_were_audited_anew_cannot_be_named_as_they_were_before(store):
    store.publish(candidate(lists_ref="lists/m"), [lists()])
    dry = store.publish(candidate(TUESDAY, lists_ref="lists/t"), [lists(items=OTHER)], dry_run=True)
    blocked = pl.Series(["oat", "nut"])
    with pytest.raises(PublishRefused):
        store.publish(
            candidate(TUESDAY, lists_ref="lists/t"),
            [lists(items=OTHER)],
            known_items=pl.Series(OTHER),
            offered_items=blocked,
        )
    with pytest.raises(PublishRefused, match="audited anew as generation 3"):
        store.rollback(dry.generation.id, who="me", why="try")
    assert live_items(store) == ["tea", "milk", "rye"]
