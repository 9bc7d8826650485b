"""Going back: one pointer, and the champion with it."""

import pytest

from recsys_tasks.errors import PublishRefused
from recsys_tasks.settings import StoreSettings
from tests.store.builders import MONDAY, TUESDAY, WEDNESDAY, candidate, lists

THURSDAY = "2026-03-05"


def publish(store, night, **facts):
    """A night whose gate accepted its model, live."""
    asked = candidate(night, **facts)
    store.record_decision(night, True, asked.model_refs, {}, {}, "better")
    return store.publish(asked, [lists()]).generation


def champion(store, night=THURSDAY):
    decision = store.champion_before(night)
    return None if decision is None else decision.refs["towers"]


def test_rollback_goes_to_the_generation_before(store):
    monday, tuesday = publish(store, MONDAY), publish(store, TUESDAY)
    assert champion(store) == "towers/2026-03-03/1"
    assert store.rollback(why="bad lists", who="me").id == monday.id
    assert {row.night for row in store.user_list("ann")} == {MONDAY}
    move = store.moves()[-1]
    assert (move.from_generation_id, move.to_generation_id) == (tuesday.id, monday.id)
    assert (move.moved_by, move.why) == ("me", "bad lists")


def test_the_champion_follows(store):
    publish(store, MONDAY)
    publish(store, TUESDAY)
    store.rollback(why="bad lists", who="me")
    assert champion(store) == "towers/2026-03-02/1"
    assert "bad lists" in store.decision(TUESDAY).revoked_why


def test_rolling_back_twice_goes_back_two(store):
    first = publish(store, MONDAY)
    publish(store, TUESDAY)
    publish(store, WEDNESDAY)
    store.rollback(why="bad", who="me")
    assert store.rollback(why="still bad", who="me").id == first.id


def test_a_second_rollback_does_not_return_to_what_the_first_one_left(store):
    monday, tuesday = publish(store, MONDAY), publish(store, TUESDAY)
    store.rollback(why="bad prices", who="me")
    publish(store, WEDNESDAY)
    assert store.rollback(why="bad prices still", who="me").id == monday.id
    assert champion(store) == "towers/2026-03-02/1"
    assert "bad prices" in store.decision(TUESDAY).revoked_why
    assert [g.rolled_back_why for g in store.generations()] == [None, "bad prices", "bad prices still"]
    with pytest.raises(PublishRefused, match=r"2 \(night 2026-03-03, rolled back\)"):
        store.rollback(why="again", who="me")
    assert store.rollback(tuesday.id, why="it was fine", who="me").rolled_back_at is None


def test_what_was_named_counts_again(store):
    publish(store, MONDAY)
    tuesday = publish(store, TUESDAY)
    store.rollback(why="bad", who="me")
    store.rollback(tuesday.id, why="it was fine", who="me")
    publish(store, WEDNESDAY)
    assert store.rollback(why="bad", who="me").id == tuesday.id


def test_going_back_over_several_leaves_them_all(store):
    monday = publish(store, MONDAY)
    publish(store, TUESDAY)
    wednesday = publish(store, WEDNESDAY)
    store.rollback(monday.id, why="bad since Tuesday", who="me")
    with pytest.raises(PublishRefused, match="no earlier generation"):
        store.rollback(why="bad", who="me")
    store.rollback(wednesday.id, why="it was fine", who="me")
    assert store.rollback(why="bad", who="me").id == monday.id


def test_the_one_before_is_by_going_live_not_by_loading(store):
    dry = store.publish(candidate(MONDAY, lists_ref="lists/dry"), [lists()], dry_run=True).generation
    other = publish(store, MONDAY, lists_ref="lists/other")
    store.publish(candidate(MONDAY, lists_ref="lists/dry"), ())
    publish(store, TUESDAY)
    gone_back_to = [store.rollback(why="bad", who="me").id for _ in range(2)]
    assert gone_back_to == [dry.id, other.id]
    with pytest.raises(PublishRefused, match="no earlier generation"):
        store.rollback(why="bad", who="me")


def test_a_chosen_generation_forward_too(store):
    monday, tuesday = publish(store, MONDAY), publish(store, TUESDAY)
    store.rollback(monday.id, why="bad", who="me")
    store.rollback(tuesday.id, why="it was fine", who="me")
    assert store.live().id == tuesday.id
    assert champion(store) == "towers/2026-03-03/1"


def test_two_models_of_one_night_are_told_apart(store):
    publish(store, MONDAY)
    first = publish(store, TUESDAY, model_refs={"towers": "first"})
    publish(store, TUESDAY, model_refs={"towers": "second"})
    assert store.rollback(why="bad", who="me").id == first.id
    assert champion(store) == "towers/2026-03-02/1"


def test_a_night_that_is_decided_again_after_a_rollback_counts_again(store):
    publish(store, MONDAY)
    publish(store, TUESDAY)
    store.rollback(why="bad", who="me")
    publish(store, TUESDAY)
    assert champion(store) == "towers/2026-03-03/1"


def test_what_was_never_live_is_not_gone_back_to(store):
    publish(store, MONDAY)
    store.publish(candidate(TUESDAY), [lists()], dry_run=True)
    wednesday = publish(store, WEDNESDAY)
    assert store.rollback(why="bad", who="me").night == MONDAY
    assert store.rollback(wednesday.id, why="fine", who="me").night == WEDNESDAY


def test_there_may_be_nothing_to_go_back_to(store):
    with pytest.raises(PublishRefused, match="nothing is live yet"):
        store.rollback(why="bad", who="me")
    only = publish(store, MONDAY)
    with pytest.raises(PublishRefused, match="no earlier generation"):
        store.rollback(why="bad", who="me")
    with pytest.raises(
        PublishRefused, match=r"no generation 99; generation 1 stays live; no other generation is kept"
    ):
        store.rollback(99, why="bad", who="me")
    assert store.live().id == only.id
    assert store.decision(MONDAY).revoked_at is None


def test_what_is_live_already_is_not_moved_to_and_the_others_are_named(store):
    monday, tuesday = publish(store, MONDAY), publish(store, TUESDAY)
    told = rf"nothing was moved: generation 2 is live already; can be made live: {monday.id} \(night 2026-03-02\)$"
    with pytest.raises(PublishRefused, match=told):
        store.rollback(tuesday.id, why="bad", who="me")
    assert store.live().id == tuesday.id
    assert len(store.moves()) == 2
    assert store.generations()[1].rolled_back_at is None


def test_refused_and_pruned_lists_are_not_gone_back_to(store):
    first = publish(store, MONDAY)
    with pytest.raises(PublishRefused):
        store.publish(candidate(TUESDAY), [lists(items=("tea", "tea", "tea"))])
    with pytest.raises(PublishRefused, match="is refused"):
        store.rollback(store.generations()[-1].id, why="bad", who="me")
    store.publish(candidate(WEDNESDAY), [lists()], StoreSettings(keep_generations=1))
    with pytest.raises(PublishRefused, match=r"is pruned.*run night 2026-03-02 again from recommend"):
        store.rollback(first.id, why="bad", who="me")
