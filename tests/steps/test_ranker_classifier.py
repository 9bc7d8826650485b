"""A whole small night whose ranker reads the purchase classifier, and what changes where it does not."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from recsys_tasks.model.encoder import weights_hash
from recsys_tasks.recommend.features import NAMES
from recsys_tasks.recommend.scorer import scorer_in
from recsys_tasks.steps import build_pairs, recommend, standing_ranker, train_ranker
from recsys_tasks.steps.champion import challenger_refs, model_of
from recsys_tasks.steps.recommend import LISTS
from recsys_tasks.steps.rooms import CLASSIFIER_ROOMS, RANKER_ROOMS
from recsys_tasks.steps.standing_ranker import CLASSIFIER, earlier_ranker
from recsys_tasks.workspace import code_version
from tests.pairs.night import NIGHT
from tests.steps.classifier_night import base_in, in_this_process, with_classifier
from tests.steps.list_night import bare_job, decided, list_job, staple_log
from tests.steps.test_train_ranker import told_vectors
from tests.steps.tower_night import ENCODER, make_vectors


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return base_in(tmp_path_factory.mktemp("tiny"))


def night(folder, base, events=None):
    settings = with_classifier(bare_job(folder / "sizes"), base, enabled=True).settings
    with in_this_process():
        job = list_job(folder / "home", events, settings=settings)
    recommend.run(decided(job))
    return job


@pytest.fixture(scope="module")
def job(tmp_path_factory, base):
    return night(tmp_path_factory.mktemp("on"), base)


def lists_of(job):
    return (job.workspace.need("lists", NIGHT).path / LISTS).read_bytes()


def test_the_ranker_keeps_a_classifier_that_saw_what_its_base_towers_saw(job):
    ranker = job.workspace.need("ranker", NIGHT)
    told = ranker.metrics["classifier"]
    assert told["fitted"]
    assert set(CLASSIFIER_ROOMS) <= ranker.manifest["code"].keys()
    assert told["until"] == ranker.metrics["cuts"][0]
    assert (ranker.path / CLASSIFIER / "model.safetensors").is_file()


def test_tonights_lists_ask_the_same_one(job):
    model = model_of(job, challenger_refs(job))
    assert model.scorer.facts == scorer_in(job.workspace.need("ranker", NIGHT).path / CLASSIFIER).facts


def test_every_list_is_there_and_a_second_night_makes_the_same(job, base, tmp_path):
    lists = pl.read_parquet(job.workspace.need("lists", NIGHT).path / LISTS)
    assert lists.group_by("user_id").len()["len"].unique().to_list() == [job.top_k]
    again = night(tmp_path, base)
    assert lists_of(again) == lists_of(job)


def test_the_rankers_days_change_nothing_of_the_classifier(job, base, tmp_path):
    cut = NIGHT.days_before_end(20)
    later = staple_log().with_columns(
        item_id=pl.when((pl.col("occurred_at") >= cut) & (pl.col("item_id") > "i30"))
        .then(pl.lit("i00"))
        .otherwise("item_id")
    )
    other = night(tmp_path, base, later.unique(["user_id", "item_id", "occurred_at"], maintain_order=True))
    folders = [it.workspace.need("ranker", NIGHT).path / CLASSIFIER for it in (job, other)]
    assert len({weights_hash(folder) for folder in folders}) == 1


def test_the_ranker_learns_from_logits_of_its_candidates(job, monkeypatch):
    seen = []
    fit = train_ranker.fit_booster
    monkeypatch.setattr(
        train_ranker, "fit_booster", lambda groups, *rest: seen.append(groups) or fit(groups, *rest)
    )
    other = replace(job, settings=replace(job.settings, seed=3))
    with in_this_process():
        train_ranker.run(other)
    column = NAMES.index("classifier_logit")
    for groups in seen:
        told = ~np.isnan(groups.values[:, column])
        assert 0 < told.sum() <= 6 * len(groups.sizes)


def test_off_there_is_no_classifier_and_none_is_recorded(tmp_path, base):
    job = with_classifier(bare_job(tmp_path), base)
    build_pairs.run(job)
    make_vectors(job)
    train_ranker.run(job)
    ranker = job.workspace.need("ranker", NIGHT)
    assert "classifier" not in ranker.metrics
    assert not (ranker.path / CLASSIFIER).exists()
    assert ranker.manifest["settings"]["classifier"] is None
    assert ranker.manifest["code"].keys() == set(RANKER_ROOMS)
    # So settings that nothing reads make no other ranker.
    other = with_classifier(job, base, steps=7)
    assert train_ranker.run(other)["artefact"] == ranker.ref


def test_a_standing_ranker_of_another_classifier_is_not_taken(job, base, tmp_path_factory, monkeypatch):
    tomorrow = replace(job, night=NIGHT.shift(1))
    told_vectors(tomorrow, ENCODER)
    assert earlier_ranker(tomorrow, ENCODER) is not None
    assert earlier_ranker(with_classifier(tomorrow, base, enabled=True, steps=4), ENCODER) is None
    assert earlier_ranker(with_classifier(tomorrow, base, enabled=False), ENCODER) is None
    with monkeypatch.context() as patch:
        patch.setattr(standing_ranker, "classifier_base", lambda job: "another")
        assert earlier_ranker(tomorrow, ENCODER) is None
    monkeypatch.setattr(standing_ranker, "code_version", other_classifier)
    assert earlier_ranker(tomorrow, ENCODER) is None


def other_classifier(room):
    """The version of a room's code, had the classifier's training been changed."""
    return "another" if room == "training/classifier" else code_version(room)


def test_where_it_is_off_a_change_of_its_code_leaves_the_standing_ranker(tmp_path, base, monkeypatch):
    job = with_classifier(bare_job(tmp_path), base)
    build_pairs.run(job)
    make_vectors(job)
    train_ranker.run(job)
    tomorrow = replace(job, night=NIGHT.shift(1))
    told_vectors(tomorrow, ENCODER)
    monkeypatch.setattr(standing_ranker, "code_version", other_classifier)
    assert earlier_ranker(tomorrow, ENCODER) is not None


def test_too_little_to_learn_from_leaves_the_column_blank_and_says_why(base, tmp_path, monkeypatch):
    monkeypatch.setattr("recsys_tasks.steps.fit_classifier.MIN_POSITIVES", 10**6)
    job = with_classifier(bare_job(tmp_path), base, enabled=True)
    build_pairs.run(job)
    make_vectors(job)
    facts = train_ranker.run(job)
    assert facts["fitted"]
    assert "fewer than" in facts["classifier"]["why"]
    assert json.loads((job.workspace.need("ranker", NIGHT).path / "features.json").read_text())[
        "names"
    ] == list(NAMES)
