from dataclasses import replace

import pytest

from recsys_tasks.errors import DataError, MissingArtefact
from recsys_tasks.evaluate.gate import Decision
from recsys_tasks.settings import RuleSettings
from recsys_tasks.steps import evaluate, gate
from recsys_tasks.steps.champion import Champion
from recsys_tasks.steps.gate import run
from tests.pairs.night import NIGHT
from tests.steps.list_night import ListShop, bare_job
from tests.store.builders import candidate, lists


@pytest.fixture(autouse=True, scope="module")
def _evaluated(job):
    evaluate.run(job)


def test_a_better_challenger_is_accepted_and_recorded_with_its_artefacts(job):
    facts = run(job)
    recorded = job.store.decision(NIGHT.date)
    assert facts["accepted"]
    assert recorded.accepted
    assert recorded.why == facts["why"]
    assert sorted(recorded.refs) == ["encoder", "index", "ranker", "towers", "vectors"]
    assert recorded.champion == {"model": "popular/7-days"}


def test_it_becomes_the_champion_of_later_nights_only(job):
    run(job)
    assert job.store.champion_before(NIGHT.date) is None
    assert (
        job.store.champion_before(NIGHT.shift(1).date).refs["towers"]
        == job.workspace.need("towers", NIGHT).ref
    )


def test_the_figures_lie_in_the_store(job):
    run(job)
    kept = {(m.system, m.slice, m.metric): m for m in job.store.metrics_of(NIGHT.date, "gate")}
    metric = kept["challenger", "all", "ndcg@10"]
    assert metric.low < metric.value < metric.high
    assert len(kept) == 3 * 3 * 2


def test_a_shop_without_repeats_is_judged_on_new_items(job):
    facts = run(replace(job, settings=ListShop(rules=RuleSettings(repeats_allowed=False))))
    assert facts["slice"] == "new"


def test_the_evaluation_must_be_there_first(tmp_path):
    with pytest.raises(MissingArtefact, match="evaluation"):
        run(bare_job(tmp_path))


def test_a_refused_challenger_is_recorded_and_no_error(job, monkeypatch):
    worse = Decision(False, "refused on NDCG@10", "all", {})
    monkeypatch.setattr(gate, "decide", lambda *_: worse)
    assert not run(job)["accepted"]
    assert not job.store.decision(NIGHT.date).accepted
    assert job.store.champion_before(NIGHT.shift(1).date) is None


def test_what_was_evaluated_is_what_is_recorded(job):
    run(job)
    inputs = job.workspace.need("evaluation", NIGHT).manifest["inputs"]
    decision = job.store.decision(NIGHT.date)
    assert (decision.refs, decision.champion) == (inputs["challenger"], inputs["champion"])


@pytest.mark.parametrize("who", ["challenger", "champion"])
def test_models_that_were_not_evaluated_are_not_decided_on(job, monkeypatch, who):
    if who == "challenger":
        other = {**gate.challenger_refs(job), "towers": "towers/2026-04-10/ffff"}
        monkeypatch.setattr(gate, "challenger_refs", lambda _: other)
    else:
        monkeypatch.setattr(
            gate, "champion", lambda _: Champion({"towers": "towers/2026-04-03/f"}, False, "for a test")
        )
    with pytest.raises(
        DataError, match=f"the {who} is not the one that .* evaluated .*towers.*run evaluate again"
    ):
        run(job)


def test_a_champion_that_was_not_compared_is_told(job, monkeypatch):
    refs = gate.champion(job).refs
    monkeypatch.setattr(
        gate,
        "champion",
        lambda _: Champion({**refs, "towers": "t"}, False, "it saw the window", is_blind=False),
    )
    monkeypatch.setattr(gate, "_judged", lambda *_: {"challenger": {}, "champion": refs})
    facts = run(job)
    assert facts["accepted"]
    assert "the champion was not compared: it saw the window" in facts["why"]


def test_deciding_again_keeps_what_a_rollback_revoked(job):
    run(job)
    refs = job.store.decision(NIGHT.date).refs
    for night, model in ((NIGHT.shift(-1), {}), (NIGHT, refs)):
        job.store.publish(candidate(night.date, model_refs=model), [lists()])
    job.store.rollback(why="bad prices", who="ann")
    facts = run(job)
    assert (facts["accepted"], facts["revoked"]) == (True, True)
    assert "bad prices" in job.store.decision(NIGHT.date).revoked_why
    assert job.store.champion_before(NIGHT.shift(1).date) is None
