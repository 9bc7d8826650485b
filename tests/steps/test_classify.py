import io
from dataclasses import replace

import polars as pl
import pytest
from rich.console import Console
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from recsys_tasks.model.classifier import PurchaseClassifier
from recsys_tasks.model.encoder import weights_hash
from recsys_tasks.steps import classify, fit_classifier
from recsys_tasks.steps.classify import MODEL
from recsys_tasks.steps.classify_page import print_classifier
from tests.pairs.night import NIGHT
from tests.pairs.shop import log
from tests.steps.classifier_night import base_in, in_this_process, with_classifier
from tests.steps.list_night import bare_job, staple_log


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return base_in(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def job(tmp_path_factory, base):
    return with_classifier(bare_job(tmp_path_factory.mktemp("classify")), base)


@pytest.fixture(scope="module")
def facts(job):
    with in_this_process():
        return classify.run(job)


def test_the_artefact_holds_a_model_that_any_reader_loads(job, facts):
    folder = job.workspace.need("classifier", NIGHT).path / MODEL
    assert AutoModelForSequenceClassification.from_pretrained(folder).config.num_labels == 2
    AutoTokenizer.from_pretrained(folder)
    assert not list(folder.parent.glob("*-training")), "the job's folder is gone"


def test_it_learns_before_the_window_and_is_asked_about_it(job, facts):
    assert facts["until"] == NIGHT.train_until.isoformat() == facts["window"][0]
    assert facts["window"][1] == NIGHT.as_of.isoformat()
    assert facts["cut"] == NIGHT.days_before_end(21).isoformat()
    assert facts["steps"] == 3
    assert facts["positives"] >= fit_classifier.MIN_POSITIVES
    manifest = job.workspace.need("classifier", NIGHT).manifest
    assert manifest["recorded"]["train_until"] == NIGHT.train_until.isoformat()


def test_the_report_counts_what_the_window_holds(job, facts):
    events = job.lake.snapshot(NIGHT.as_of).events.filter(pl.col("event_type") == "purchase")
    before = events.filter(pl.col("occurred_at") < NIGHT.train_until)
    window = events.filter(pl.col("occurred_at") >= NIGHT.train_until, pl.col("user_id") != "late")
    # Each shopper took fewer items than max_positives, and nothing that nobody had touched.
    taken = window.select("user_id", "item_id").unique()
    new = taken.join(before.select("user_id", "item_id").unique(), on=["user_id", "item_id"], how="anti")
    everything, only_new = (facts["slices"][name] for name in ("all", "new"))
    assert everything["classes"]["Purchased"]["support"] == len(taken)
    assert only_new["classes"]["Purchased"]["support"] == len(new)
    assert 0 <= everything["roc_auc"] <= 1
    assert everything["popular"]["pairs"] == everything["pairs"]


def test_a_second_run_finds_it_and_another_candidate_count_or_seed_does_not(job, facts, base):
    again = classify.run(job)
    assert again["reused"]
    assert again["artefact"] == facts["artefact"]
    assert again["slices"] == facts["slices"]
    with in_this_process():
        other = classify.run(replace(job, settings=replace(job.settings, seed=2)))
    assert other["artefact"] != facts["artefact"]
    # Whether the ranker reads one is none of its business.
    assert classify.run(with_classifier(job, base, enabled=True))["artefact"] == facts["artefact"]


def test_the_window_changes_no_weight(job, facts, base, tmp_path):
    other_window = staple_log().with_columns(
        item_id=pl.when(pl.col("occurred_at") >= NIGHT.train_until).then(pl.lit("i00")).otherwise("item_id")
    )
    other = with_classifier(
        bare_job(tmp_path, other_window.unique(["user_id", "item_id", "occurred_at"], maintain_order=True)),
        base,
    )
    with in_this_process():
        told = classify.run(other)
    assert told["artefact"] != facts["artefact"]
    hashes = {weights_hash(it.workspace.need("classifier", NIGHT).path / MODEL) for it in (job, other)}
    assert len(hashes) == 1
    assert told["slices"] != facts["slices"]


def test_a_log_that_is_too_short_gives_none_and_says_why(base, tmp_path):
    young = staple_log().filter(pl.col("occurred_at") >= NIGHT.days_before_end(12))
    told = classify.run(with_classifier(bare_job(tmp_path, young), base))
    assert not told["fitted"]
    assert "classifier.label_days" in told["why"]
    assert " ".join(told["why"].split()) in " ".join(page(told).split())


def test_a_shop_where_everybody_takes_the_same_gives_none(base, tmp_path):
    same = log(*((f"c{n:02}", "i00", "purchase", d + 0.6) for n in range(60) for d in range(102)))
    assert not classify.run(with_classifier(bare_job(tmp_path, same), base))["fitted"]


def test_the_page_tells_the_report(job, facts):
    text = page(facts)
    for part in (
        "everything the shopper took",
        "new to the shopper",
        "precision",
        "support",
        "ROC AUC",
        "chance",
    ):
        assert part in text
    assert f"{facts['slices']['all']['roc_auc']:.3f}" in text


def page(facts):
    out = io.StringIO()
    print_classifier(Console(file=out, width=120), facts)
    return out.getvalue().replace("\n", " ")


def test_its_logits_are_those_of_the_model_in_the_folder(job, facts):
    folder = job.workspace.need("classifier", NIGHT).path / MODEL
    fitted = PurchaseClassifier.load(folder, "cpu")
    assert (fitted.candidates, fitted.history_items) == (6, 3)
