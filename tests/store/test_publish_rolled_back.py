"""Publish: lists that somebody rolled back do not come back by themselves."""

import re

from recsys_tasks.settings import StoreSettings
from tests.store.builders import MONDAY, OTHER, TUESDAY, candidate, lists


def test_a_retry_of_lists_that_were_rolled_back_says_so_and_leaves_the_live_ones(store):
    store.publish(candidate(MONDAY), [lists()])
    bad = store.publish(candidate(TUESDAY, lists_ref="lists/t"), [lists(items=OTHER)]).generation
    store.rollback(why="bad prices", who="me")
    retried = store.publish(candidate(TUESDAY, lists_ref="lists/t"), [lists(items=OTHER)])
    assert (retried.switched, retried.live, retried.generation.id) == (False, False, bad.id)
    assert re.search(
        r"rolled back on \d{4}-.* UTC \(bad prices\); publish again with changed lists", retried.why
    )
    assert f"rollback --to {bad.id}" in retried.why
    assert (store.live().night, len(store.moves())) == (MONDAY, 3)
    assert store.publish(candidate(TUESDAY, lists_ref="lists/mended"), [lists()]).switched


def test_rolled_back_lists_stay_so_though_they_were_pruned(store):
    store.publish(candidate(MONDAY), [lists()])
    store.publish(candidate(TUESDAY, lists_ref="lists/t"), [lists()])
    store.rollback(why="bad prices", who="me")
    for _ in range(2):
        store.publish(candidate(TUESDAY), [lists()], StoreSettings(keep_generations=1), dry_run=True)
    assert store.generations()[1].state == "pruned"
    again = store.publish(candidate(TUESDAY, lists_ref="lists/t"), [lists()])
    assert not again.live
    assert "bad prices" in again.why
    store.rollback(again.generation.id, why="they were fine", who="me")
    assert store.publish(candidate(TUESDAY, lists_ref="lists/t"), ()).live


def test_rolled_back_lists_can_be_named_whatever_is_live(store):
    store.publish(candidate(MONDAY), [lists(users=map(str, range(9)))])
    small = StoreSettings(max_shrink=1.0)
    bad = store.publish(candidate(TUESDAY, lists_ref="lists/t"), [lists()], small).generation
    store.rollback(why="bad", who="me")
    assert store.publish(candidate(TUESDAY, lists_ref="lists/t"), ()).generation.state == "ready"
    assert store.rollback(bad.id, why="fine", who="me").id == bad.id
