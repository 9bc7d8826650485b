"""Who is the champion of a night."""

from recsys_tasks.store.store import Store
from tests.store.builders import MONDAY, TUESDAY, WEDNESDAY


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
