import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from recsys_tasks.errors import TrainingFailed
from recsys_tasks.model.classifier import PurchaseClassifier
from recsys_tasks.model.encoder import weights_hash
from recsys_tasks.settings import ClassifierSettings
from recsys_tasks.training import classifier
from recsys_tasks.training.classifier import BUCKET, bucketed, class_weights
from recsys_tasks.training.classifier_job import MODEL, ClassifierJob, ClassifierReport
from recsys_tasks.training.launch import launch
from recsys_tasks.training.processes import Processes
from tests.tiny_encoder import tiny_encoder
from tests.training.text_shop import THINGS, WORDS

# What everybody purchases, whoever they are.
WANTED = THINGS[:3]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_encoder(tmp_path_factory.mktemp("tiny"), words=WORDS)


def pairs():
    rng = np.random.default_rng(5)
    rows = [
        (
            f"u{user:02}",
            "; ".join(rng.choice(THINGS, size=int(rng.integers(1, 4)))),
            thing,
            thing in WANTED,
            True,
        )
        for user in range(20)
        for thing in rng.choice(THINGS, size=6, replace=False)
    ]
    return pl.DataFrame(rows, schema=["user_id", "history", "text", "purchased", "first_time"], orient="row")


def pairs_of_taste(seed=6):
    """Whoever took one of WANTED purchases these only, and whoever did not purchases none: no item tells by itself."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(60):
        wants = bool(user % 2)
        history = "; ".join(rng.choice(WANTED if wants else THINGS[len(WANTED) :], size=2))
        for thing in rng.choice(THINGS, size=6, replace=False):
            rows.append((f"u{user:02}", history, thing, (thing in WANTED) == wants, True))
    return pl.DataFrame(rows, schema=["user_id", "history", "text", "purchased", "first_time"], orient="row")


def job(folder, base, learned=pairs, **changes):
    settings = ClassifierSettings(
        **{"max_tokens": 16, "steps": 60, "batch_size": 16, "learning_rate": 5e-3, **changes}
    )
    ClassifierJob(base, settings, 1, learned()).write(folder)
    return folder


def test_training_learns_what_is_purchased_and_leaves_a_folder_that_any_reader_loads(tmp_path, base):
    folder = job(tmp_path / "job", base)
    classifier.main(folder)
    report = ClassifierReport.read(folder)
    assert report.steps == 60
    assert report.loss_last < 0.3 < report.loss_first
    AutoTokenizer.from_pretrained(folder / MODEL)
    model = AutoModelForSequenceClassification.from_pretrained(folder / MODEL)
    assert model.config.id2label == {0: "O", 1: "Purchased"}
    fitted = PurchaseClassifier.load(folder / MODEL, "cpu")
    odds = fitted.log_odds(["big; oak"] * len(THINGS), THINGS)
    assert odds[: len(WANTED)].min() > 0 > odds[len(WANTED) :].max()


def test_what_is_purchased_may_depend_on_the_history_alone(tmp_path, base):
    classifier.main(job(tmp_path / "job", base, pairs_of_taste, steps=300))
    fitted = PurchaseClassifier.load(tmp_path / "job" / MODEL, "cpu")
    unseen = pairs_of_taste(seed=7)
    odds = fitted.log_odds(unseen["history"].to_list(), unseen["text"].to_list())
    right = (odds > 0) == unseen["purchased"].to_numpy()
    # Whoever looks at the item alone is right in half of them.
    assert right.mean() > 0.8


def test_two_runs_give_the_same_weights(tmp_path, base):
    hashes = []
    for run in ("a", "b"):
        classifier.main(job(tmp_path / run, base, steps=4))
        hashes.append(weights_hash(tmp_path / run / MODEL))
    assert hashes[0] == hashes[1]


def test_a_loss_that_is_not_finite_stops_before_the_step_and_names_it_and_the_setting(
    tmp_path, base, monkeypatch
):
    asked, logits = [], PurchaseClassifier.logits
    monkeypatch.setattr(
        PurchaseClassifier, "logits", lambda me, tokens, rows: asked.append(rows) or logits(me, tokens, rows)
    )
    with pytest.raises(
        TrainingFailed,
        match=r"step \d+: the .* is (nan|inf); .* and 12 more pairs\. Lower classifier\.learning_rate; if it is",
    ) as failed:
        classifier.main(job(tmp_path / "job", base, learning_rate=1e30))
    first = pairs().row(int(asked[-1][0]), named=True)
    assert f"The batch: {first['history']!r} -> {first['text']!r}, " in str(failed.value)
    assert not (tmp_path / "job" / MODEL).exists()


def test_memory_that_runs_out_names_the_settings_of_the_classifier(tmp_path, base, monkeypatch):
    monkeypatch.setattr(PurchaseClassifier, "logits", lambda *_: torch.empty(2**55))
    told = r"lower classifier\.batch_size \(now 16\) or classifier\.max_tokens \(now 16\)"
    with pytest.raises(TrainingFailed, match=f"while fitting the classifier: {told}"):
        classifier.main(job(tmp_path / "job", base))


def test_an_error_of_ours_is_told_in_its_own_words_without_a_trace(tmp_path, base):
    folder = job(tmp_path / "job", base, learning_rate=1e30)
    command = [sys.executable, "-m", classifier.__name__, str(folder)]
    ended = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert ended.returncode == TrainingFailed.exit_code
    assert "Lower classifier.learning_rate" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr


def test_mixed_precision_as_a_gpu_uses_it_learns_as_well(tmp_path, base, monkeypatch):
    # bf16 emulated on the CPU: the types that meet are those of a GPU's run.
    from recsys_tasks.model import classifier as model

    monkeypatch.setattr(model, "autocast", lambda _device: torch.autocast("cpu", dtype=torch.bfloat16))
    classifier.main(job(tmp_path / "job", base))
    assert ClassifierReport.read(tmp_path / "job").loss_last < 0.3


def test_both_classes_weigh_alike():
    labels = np.array([1, 0, 0, 0, 0, 1, 0, 0, 0, 0])
    weight = class_weights(labels)
    assert weight.tolist() == pytest.approx([10 / 16, 10 / 4])
    # Of logits that say nothing the loss is log 2, however many negatives stand against a positive.
    logits = torch.zeros(10, 2)
    assert functional.cross_entropy(logits, torch.from_numpy(labels), weight=weight) == pytest.approx(
        np.log(2)
    )
    assert class_weights(np.zeros(4, np.int64)).isfinite().all()


def test_the_loss_of_a_step_is_the_mean_of_both_classes_means(base):
    """Whatever is asked, the head says log odds of 1: the two classes' losses are known."""
    asked = pairs()
    fitted = PurchaseClassifier.fresh(base, classifier.facts_of(ClassifierSettings()), "cpu")
    with torch.no_grad():
        fitted.model.classifier.weight.zero_()
        fitted.model.classifier.bias.copy_(torch.tensor([0.0, 1.0]))
    tokens = fitted.tokenise(asked["history"].to_list(), asked["text"].to_list())
    labels = asked["purchased"].cast(int).to_numpy(writable=True)
    whole = ClassifierSettings(steps=1, batch_size=len(asked))
    losses = classifier.fit(fitted, tokens, labels, whole, Processes(), 1, str)
    assert labels.mean() != pytest.approx(0.5, abs=0.1)
    assert losses == pytest.approx([(np.log1p(np.exp(1)) + np.log1p(np.exp(-1))) / 2], abs=1e-5)


@given(st.lists(st.integers(1, 64), min_size=1, max_size=300), st.integers(1, 12), st.integers(0, 3))
def test_a_pass_has_each_row_at_most_once_in_whole_batches(lengths, size, seed):
    lengths = np.array(lengths)
    real = min(size, len(lengths))
    in_a_pass = len(lengths) // real
    batches = list(islice(bucketed(lengths, size, np.random.default_rng(seed)), 2 * in_a_pass))
    assert all(len(batch) == real for batch in batches)
    for some in (batches[:in_a_pass], batches[in_a_pass:]):
        rows = np.concatenate(some)
        assert len(set(rows)) == len(rows) == in_a_pass * real


def test_batches_hold_rows_of_about_one_length_in_no_order_of_length():
    lengths = np.random.default_rng(1).integers(5, 64, size=16 * BUCKET)
    batches = list(islice(bucketed(lengths, 16, np.random.default_rng(2)), BUCKET))
    spread = np.mean([np.ptp(lengths[batch]) for batch in batches])
    assert spread < np.ptp(lengths) / 8
    means = [lengths[batch].mean() for batch in batches]
    assert means not in (sorted(means), sorted(means, reverse=True))


@pytest.mark.slow
def test_two_processes_follow_the_same_loss_as_one(tmp_path, base):
    reports = []
    for processes in (1, 2):
        folder = job(tmp_path / str(processes), base, steps=12)
        launch(classifier.__name__, folder, processes)
        reports.append(ClassifierReport.read(folder))
    one, two = reports
    assert two.loss_first == pytest.approx(one.loss_first, abs=1e-4)
    assert two.loss_last == pytest.approx(one.loss_last, abs=1e-4)
