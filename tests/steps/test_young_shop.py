"""A shop of a few weeks: no training example fits before the window, and every shopper gets a list all the same."""

import polars as pl
import pytest

from recsys_tasks.steps import evaluate, gate, measure, recommend, train_towers
from recsys_tasks.steps.champion import challenger_refs
from tests.pairs.night import NIGHT
from tests.steps.list_night import SHOPPERS, list_job, staple_log

DAYS = 20


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A night up to its index over a log of 20 days; an example takes 14 days behind 7 that the gate keeps."""
    recent = pl.col("occurred_at") >= NIGHT.days_before_end(DAYS)
    return list_job(tmp_path_factory.mktemp("young"), staple_log().filter(recent))


@pytest.fixture(scope="module")
def night(job):
    """What each step of the night reports, the last ones in their order."""
    return {step.__name__.split(".")[-1]: step.run(job) for step in (train_towers, evaluate, gate, recommend)}


def test_no_towers_are_fitted_and_the_artefact_says_why(job, night):
    facts = night["train_towers"]
    assert not facts["fitted"]
    assert "no training example yet" in facts["why"]
    assert "pairs.target_days" in facts["why"]
    assert not job.workspace.need("ranker", NIGHT).metrics["fitted"]
    assert job.workspace.need("index", NIGHT).metrics == {"fitted": False, "why": facts["why"]}


def test_only_the_plain_rules_are_scored(night):
    facts = night["evaluate"]
    assert [row["system"] for row in facts["slices"]["all"]] == ["popular_7_days", "repeat_purchase"]
    assert not facts["fitted"]
    assert facts["users"] > 0


def test_the_gate_refuses_in_plain_words(job, night):
    facts = night["gate"]
    assert not facts["accepted"]
    assert facts["why"].startswith(
        "refused: there is no model of tonight, the log has no training example yet"
    )
    decision = job.store.decision(NIGHT.date)
    assert decision.refs == challenger_refs(job)
    assert job.store.champion_before(NIGHT.shift(1).date) is None


def test_every_shopper_gets_a_popular_list(night):
    facts = night["recommend"]
    assert facts["model"] == "popular/7-days"
    assert facts["users"] == SHOPPERS + 1
    assert facts["rows"] == 12 * (SHOPPERS + 1)


def test_popularity_is_what_is_measured(job, night):
    assert measure.run(job, days=2)["made_by"] == "popular_7_days"


def test_a_second_run_reuses_what_says_that_there_is_none(job, night):
    assert train_towers.run(job)["reused"]
    assert evaluate.run(job)["reused"]
