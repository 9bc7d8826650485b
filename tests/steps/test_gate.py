from dataclasses import replace

import pytest

from recsys_tasks.errors import MissingArtefact
from recsys_tasks.evaluate.gate import Decision
from recsys_tasks.settings import RuleSettings
from recsys_tasks.steps import evaluate, gate
from recsys_tasks.steps.gate import run
from tests.pairs.night import NIGHT
from tests.steps.list_night import ListShop, bare_job


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
