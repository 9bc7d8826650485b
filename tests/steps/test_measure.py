import pytest

from recsys_tasks.errors import DataError, MissingArtefact
from recsys_tasks.steps import recommend, refit_towers
from recsys_tasks.steps.measure import run
from tests.pairs.night import NIGHT
from tests.steps.list_night import bare_job, decided
from tests.steps.tower_night import refitting


def listed(job, accepted):
    recommend.run(decided(job, accepted))
    return job


def test_the_accepted_model_is_scored_on_the_days_that_followed(job):
    facts = run(listed(job, True), days=2)
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
    facts = run(listed(job, False), days=2)
    assert facts["made_by"] == "popular_7_days"
    assert [row["system"] for row in facts["slices"]["all"]] == ["popular_7_days", "repeat_purchase"]
    assert "ahead_ndcg@10" in facts["slices"]["all"][1]


def test_the_model_of_the_lists_is_what_is_measured_whatever_was_decided_since(job):
    listed(job, True)
    made = job.workspace.need("lists", NIGHT).metrics
    decided(job, False)
    facts = run(job, days=2)
    assert (facts["made_by"], facts["model"]) == ("challenger", made["refs"]["towers"])


def test_lists_of_a_refit_are_measured_with_it(job):
    plain = run(listed(job, True), days=2)
    refit = refit_towers.run(refitting(job))["artefact"]
    recommend.run(refitting(job))
    facts = run(job, days=2)
    assert (facts["made_by"], facts["model"]) == ("challenger", refit)
    mine, before = facts["slices"]["all"][0], plain["slices"]["all"][0]
    assert mine["ndcg@10"] != before["ndcg@10"]


def test_lists_must_be_there_first(tmp_path):
    with pytest.raises(MissingArtefact, match="lists"):
        run(bare_job(tmp_path), days=2)


def test_days_that_the_lake_lacks_are_named(job):
    with pytest.raises(DataError, match=r"lacks 2026-04-13, 2026-04-14, .*2026-04-17: ingest them"):
        run(listed(job, True))
