"""Who is the champion of a night."""

from recsys_tasks.store.store import Store
from tests.store.builders import MONDAY, TUESDAY, WEDNESDAY, candidate, lists


def decide(store: Store, night, accepted=True, towers="1"):
    refs = {"towers": f"towers/{night}/{towers}"}
    store.record_decision(night, accepted, refs, {"model": "popular"}, {"ndcg": 0.2}, "better", run_id="r")


def test_the_champion_is_of_the_newest_earlier_night_that_was_accepted(store):
    assert store.champion_before(WEDNESDAY) is None
    decide(store, MONDAY)
    decide(store, TUESDAY, accepted=False)
    decide(store, WEDNESDAY)
    champion = store.champion_before(WEDNESDAY)
    assert (champion.night, champion.refs) == (MONDAY, {"towers": "towers/2026-03-02/1"})
    assert store.champion_before("2026-03-02") is None


def test_the_newest_run_of_a_night_wins(store):
    decide(store, MONDAY, towers="1")
    decide(store, MONDAY, towers="2")
    assert [d.refs for d in store.decisions()] == [{"towers": "towers/2026-03-02/2"}]
    decide(store, MONDAY, accepted=False)
    assert store.champion_before(TUESDAY) is None


def rolled_back_tuesday(store: Store):
    """Monday is live again, since Tuesday's lists were bad."""
    for night in (MONDAY, TUESDAY):
        decide(store, night)
        store.publish(candidate(night, lists_ref=f"lists/{night}/1"), [lists()])
    store.rollback(why="bad prices", who="me")


def test_a_rerun_of_a_rolled_back_night_does_not_bring_its_model_back(store):
    rolled_back_tuesday(store)
    decide(store, TUESDAY)
    store.publish(candidate(TUESDAY, lists_ref="lists/2026-03-03/1"), [lists()], dry_run=True)
    assert store.champion_before(WEDNESDAY).night == MONDAY
    assert "bad prices" in store.decision(TUESDAY).revoked_why


def test_a_mended_model_is_champion_once_its_lists_are_live(store):
    rolled_back_tuesday(store)
    decide(store, TUESDAY, towers="2")
    mended = candidate(TUESDAY, model_refs={"towers": "towers/2026-03-03/2"}, lists_ref="lists/2026-03-03/2")
    store.publish(mended, [lists()], dry_run=True)
    assert store.champion_before(WEDNESDAY).night == MONDAY
    assert store.publish(mended, [lists()]).switched
    assert store.champion_before(WEDNESDAY).refs == {"towers": "towers/2026-03-03/2"}


def test_a_mended_model_may_make_lists_before_it_is_champion(store):
    rolled_back_tuesday(store)
    decide(store, TUESDAY, towers="2")
    assert store.decision(TUESDAY).revoked_at is None
    decide(store, TUESDAY, towers="2")
    assert store.champion_before(WEDNESDAY).night == MONDAY


def test_a_model_that_was_rolled_back_waits_too_where_another_was_tried_in_between(store):
    rolled_back_tuesday(store)
    for towers in ("2", "1"):
        decide(store, TUESDAY, towers=towers)
    assert store.champion_before(WEDNESDAY).night == MONDAY
    assert not store.publish(candidate(TUESDAY, lists_ref="lists/2026-03-03/1"), ()).switched
    store.rollback(2, why="it was fine", who="me")
    assert store.champion_before(WEDNESDAY).night == TUESDAY


def test_a_model_whose_lists_are_live_does_not_wait(store):
    for towers in ("1", "2"):
        decide(store, TUESDAY, towers=towers)
        refs = {"towers": f"towers/2026-03-03/{towers}"}
        store.publish(candidate(TUESDAY, model_refs=refs, lists_ref=f"lists/{towers}"), [lists()])
    store.rollback(why="the first was better", who="me")
    assert store.champion_before(WEDNESDAY) is None
    decide(store, TUESDAY, towers="1")
    assert store.champion_before(WEDNESDAY).generation_id == store.live().id == 1


def test_lists_of_another_model_do_not_lift_a_revocation(store):
    rolled_back_tuesday(store)
    store.publish(candidate(TUESDAY, model_refs={"model": "popular"}), [lists()])
    assert store.live().night == TUESDAY
    assert store.champion_before(WEDNESDAY).night == MONDAY


def test_deciding_again_on_the_live_model_keeps_what_it_published(store):
    decide(store, MONDAY)
    live = store.publish(candidate(MONDAY), [lists()]).generation
    decide(store, MONDAY)
    assert store.decision(MONDAY).generation_id == live.id
    decide(store, MONDAY, towers="2")
    assert store.decision(MONDAY).generation_id is None


def test_a_decision_comes_back_as_it_was_made(store):
    decide(store, MONDAY)
    decision = store.decision("2026-03-02")
    assert (decision.accepted, decision.champion, decision.metrics) == (
        True,
        {"model": "popular"},
        {"ndcg": 0.2},
    )
    assert (decision.why, decision.run_id, decision.revoked_at) == ("better", "r", None)
    assert decision.decided_at.utcoffset().total_seconds() == 0


def row(system, value, **interval):
    return {"system": system, "slice": "all", "metric": "recall@10", "value": value, **interval}


def test_figures_of_a_kind_replace_those_before(store):
    store.record_metrics(MONDAY, "gate", [row("popular", 0.1), row("challenger", 0.2, low=0.1, high=0.3)])
    store.record_metrics(MONDAY, "measure", [row("popular", 0.4)])
    store.record_metrics(MONDAY, "gate", [row("challenger", 0.25, low=0.2, high=0.3), row("popular", None)])
    gate = store.metrics_of(MONDAY, "gate")
    assert [(m.system, m.value, m.low) for m in gate] == [("challenger", 0.25, 0.2), ("popular", None, None)]
    assert [m.kind for m in store.metrics_of(MONDAY)] == ["gate", "gate", "measure"]
    assert store.metrics_of(TUESDAY) == []
