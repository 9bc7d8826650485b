import pytest

from recsys_tasks.errors import DataError
from recsys_tasks.steps.measure import run
from tests.pairs.night import NIGHT


def decided(job, accepted):
    job.store.record_decision(
        NIGHT.date, accepted=accepted, refs={}, champion={}, metrics={}, why="for a test"
    )
    return job


def test_the_accepted_model_is_scored_on_the_days_that_followed(job):
    facts = run(decided(job, True), days=2)
    assert [row["system"] for row in facts["slices"]["all"]] == [
        "challenger",
        "popular_7_days",
        "repeat_purchase",
    ]
    assert facts["window"] == [NIGHT.as_of.isoformat(), NIGHT.days_after_end(2).isoformat()]
    assert facts["slices"]["all"][0]["ndcg@10"] > facts["slices"]["all"][1]["ndcg@10"]
    assert {metric.system for metric in job.store.metrics_of(NIGHT.date, "measure")} == {
        "challenger",
        "popular_7_days",
        "repeat_purchase",
    }


def test_where_popularity_made_the_lists_it_is_what_is_measured(job):
    facts = run(decided(job, False), days=2)
    assert facts["made_by"] == "popular_7_days"
    assert [row["system"] for row in facts["slices"]["all"]] == ["popular_7_days", "repeat_purchase"]
    assert "ahead_ndcg@10" in facts["slices"]["all"][1]


def test_days_that_the_lake_lacks_are_named(job):
    with pytest.raises(DataError, match=r"lacks 2026-04-13, 2026-04-14, .*2026-04-17: ingest them"):
        run(decided(job, True))
