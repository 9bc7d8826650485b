import json
from dataclasses import fields, replace
from datetime import timedelta

import polars as pl
import pytest

from recsys_tasks.errors import MissingArtefact
from recsys_tasks.model import towers
from recsys_tasks.recommend import ranker
from recsys_tasks.steps.champion import champion
from recsys_tasks.steps.evaluate import facts_of, run
from tests.pairs.night import NIGHT
from tests.steps.list_night import bare_job


def systems(facts, part="all"):
    return [row["system"] for row in facts["slices"][part]]


def test_the_first_night_meets_popularity_and_says_so(job):
    facts = run(job)
    assert systems(facts) == ["challenger", "popular_7_days", "repeat_purchase"]
    assert facts["champion"] == {
        "model": "popular/7-days",
        "is_popular": True,
        "compared": True,
        "why": "no earlier night's model was accepted yet",
    }


def test_every_slice_has_its_table(job):
    facts = run(job)
    assert list(facts["slices"]) == ["all", "new", "no_history"]
    assert facts["slices"]["all"][0]["users"] == facts["users"] == 31
    # The late-comer has no event before the window.
    assert facts["slices"]["no_history"][0]["users"] == 1
    assert facts["window"] == [NIGHT.train_until.isoformat(), NIGHT.as_of.isoformat()]


def test_repeat_purchase_is_found_by_the_challenger_too(job):
    rows = {row["system"]: row["ndcg@10"] for row in run(job)["slices"]["all"]}
    assert rows["challenger"] > 2 * rows["popular_7_days"]
    assert rows["repeat_purchase"] > 2 * rows["popular_7_days"]


def test_every_shoppers_scores_are_kept(job):
    facts = run(job)
    scores = pl.read_parquet(job.workspace.at(facts["artefact"]).path / "scores.parquet")
    mean = scores.filter(pl.col("slice") == "new", pl.col("system") == "challenger")["recall"].mean()
    assert mean == pytest.approx(facts["slices"]["new"][0]["recall@10"], abs=1e-6)


def test_a_second_run_reuses_it(job):
    run(job)
    assert run(job)["reused"]


def test_the_champion_joins_the_table_with_its_own_artefacts(job):
    crown(job)
    facts = run(job)
    assert systems(facts) == ["challenger", "champion", "popular_7_days", "repeat_purchase"]
    ahead = facts["slices"]["all"][1]["ahead_ndcg@10"]
    assert ahead == [0.0, 0.0, 0.0], "the same artefacts must score the same"


def test_a_champion_that_saw_the_window_is_not_compared_but_may_make_lists(job):
    """gate.days was raised since: days that were trained on are now the gate's."""
    crown(job)
    assert champion(job).is_blind
    rival = champion(replace(job, night=replace(NIGHT, gate_days=9)))
    assert (rival.is_popular, rival.is_blind) == (False, False)
    assert "fitted on days of tonight's window (gate.days)" in rival.why
    assert facts_of(rival)["compared"] is False


def test_towers_of_another_format_make_the_champion_step_aside(job, monkeypatch):
    crown(job)
    monkeypatch.setattr(towers, "FORMAT", 99)
    rival = champion(job)
    assert rival.is_popular
    assert "this release reads 99" in rival.why


@pytest.mark.parametrize(
    ("what", "now", "why"),
    [("MEANING", 99, "mean something else"), ("NAMES", ("moon",), "reads other features")],
)
def test_a_ranker_over_other_features_makes_the_champion_step_aside(job, monkeypatch, what, now, why):
    crown(job)
    assert not champion(job).is_popular
    monkeypatch.setattr(ranker, what, now)
    rival = champion(job)
    assert rival.is_popular
    assert why in rival.why


def test_towers_of_a_newer_release_make_the_champion_step_aside(job, monkeypatch):
    crown(job)
    fewer = fields(towers.TowerFacts)[1:]
    monkeypatch.setattr(towers, "fields", lambda _: fewer)
    rival = champion(job)
    assert rival.is_popular
    assert "written by a newer release" in rival.why


def test_a_champion_whose_artefacts_are_gone_gives_way_to_popularity(job):
    record(
        job,
        {"towers": "towers/2026-04-01/x", "ranker": "ranker/2026-04-01/x", "encoder": "encoder/2026-04-01/x"},
    )
    facts = run(job)
    assert facts["champion"]["is_popular"]
    assert "cannot be used" in facts["champion"]["why"]


def crown(job):
    """Make tonight's artefacts the champion's."""
    refs = {name: job.workspace.need(name, NIGHT).ref for name in ("towers", "ranker", "vectors")}
    encoder = job.workspace.need("vectors", NIGHT).manifest["inputs"]["encoder"]
    place(job, encoder)
    record(job, {**refs, "encoder": encoder})


def record(job, refs):
    yesterday = NIGHT.date - timedelta(days=1)
    job.store.record_decision(yesterday, accepted=True, refs=refs, champion={}, metrics={}, why="for a test")


def place(job, ref):
    """An encoder artefact under the name that the vectors tell."""
    folder = job.workspace.artefacts / ref
    folder.mkdir(parents=True, exist_ok=True)
    told = {"train_until": NIGHT.shift(-1).train_until.isoformat()}
    manifest = {"metrics": {}, "settings": {"max_tokens": 8}, "recorded": told}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_models_must_be_there_first(tmp_path):
    with pytest.raises(MissingArtefact, match="towers"):
        run(bare_job(tmp_path))
