"""A purchase classifier fitted to what happened before an instant: of the command, and of the ranker."""

import logging
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from recsys_tasks.calendar import days_before
from recsys_tasks.lake.snapshot import Snapshot
from recsys_tasks.model.encoder import base_folder, weights_hash
from recsys_tasks.settings import ClassifierSettings
from recsys_tasks.steps.job import Job
from recsys_tasks.training import classifier, classifier_job
from recsys_tasks.training.classifier_data import Question, purchase_pairs
from recsys_tasks.training.encoder_data import as_texts
from recsys_tasks.training.launch import launch
from recsys_tasks.workspace import Facts

log = logging.getLogger(__name__)

# Fewer purchases than this teach no taste.
MIN_POSITIVES = 50


def fit_classifier(job: Job, until: datetime, folder: Path) -> Facts:
    """
    Fit one to the ``label_days`` before ``until`` and put it into ``folder``, which must not exist.

    It sees nothing from ``until`` on. ``fitted`` is false, and ``why`` tells, where the log holds too little.
    """
    settings = job.settings.classifier
    snapshot = job.lake.snapshot(until)
    cut = days_before(until, settings.label_days, job.settings.zone)
    after = snapshot.events.filter(pl.col("occurred_at") >= cut)
    before = snapshot.events.filter(pl.col("occurred_at") < cut)
    pairs = purchase_pairs(question(job, before, after, snapshot), settings, job.settings.seed)
    positives = int(pairs["purchased"].sum())
    facts: Facts = {
        "cut": cut.isoformat(),
        "until": until.isoformat(),
        "pairs": len(pairs),
        "positives": positives,
    }
    if min(positives, len(pairs) - positives) < MIN_POSITIVES:
        why = (
            f"fewer than {MIN_POSITIVES} purchases (or items of others to set against them) by shoppers with a history "
            f"in the {settings.label_days} days before {until:%Y-%m-%d} (classifier.label_days)"
        )
        return {"fitted": False, "why": why, **facts}
    scratch = folder.with_name(folder.name + "-training")
    base = base_folder(settings.base, "classifier.base")
    classifier_job.ClassifierJob(base, settings, job.settings.seed, pairs).write(scratch)
    launch(classifier.__name__, scratch)
    (scratch / classifier_job.MODEL).replace(folder)
    facts |= vars(classifier_job.ClassifierReport.read(scratch))
    shutil.rmtree(scratch)
    return {"fitted": True, **facts}


def question(job: Job, before: pl.DataFrame, after: pl.DataFrame, snapshot: Snapshot) -> Question:
    """Events of before and behind a cut, as the texts that the snapshot's catalogue gives them."""
    return Question(
        before=as_texts(before, snapshot.items),
        after=as_texts(after, snapshot.items),
        weights=job.settings.event_weights,
        target_events=job.settings.target_events,
    )


def base_hash(settings: ClassifierSettings) -> str:
    """What the base's weights are, for a fingerprint."""
    return weights_hash(base_folder(settings.base, "classifier.base"))


def made_with(settings: ClassifierSettings) -> Mapping[str, Any]:
    """The settings that decide the classifier's weights and its answers."""
    return settings.model_dump(mode="json", exclude={"enabled", "base"})
