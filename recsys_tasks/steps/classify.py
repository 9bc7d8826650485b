"""The purchase classifier of a night, with its report on the window: days that it never saw."""

import logging

import numpy as np
import polars as pl

from recsys_tasks.calendar import days_before
from recsys_tasks.evaluate.classification import Floats, classification, ranking
from recsys_tasks.model.classifier import PurchaseClassifier
from recsys_tasks.model.progress import progress_lines
from recsys_tasks.model.purchase import LABELS
from recsys_tasks.steps.fit_classifier import base_hash, fit_classifier, made_with, question
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.rooms import CLASSIFIER_ROOMS
from recsys_tasks.training.classifier_data import Question, purchase_pairs
from recsys_tasks.workspace import Draft, Facts

log = logging.getLogger(__name__)

MODEL = "model"
ROOMS = (*CLASSIFIER_ROOMS, "evaluate/classification", "steps/classify")
POPULAR_DAYS = 28


def run(job: Job) -> Facts:
    """
    Make the artefact ``classifier``: ``model/``, fitted before train_until, and the report of the window as figures.

    The window's pairs come about as those of training do, with histories up to train_until. ``slices`` has the report
    of all pairs, and of those that are new to the shopper; beside each, what the popularity of 28 days would say.
    ``fitted`` is false, and ``why`` tells, where the log holds too little to learn from.
    """
    with job.workspace.artefact(
        "classifier",
        job.night,
        inputs={"lake": job.lake.state(job.night), "base": base_hash(job.settings.classifier)},
        settings={
            **made_with(job.settings.classifier),
            "event_weights": dict(job.settings.event_weights),
            "target_events": list(job.settings.target_events),
            "gate_days": job.night.gate_days,
        },
        rooms=ROOMS,
        seed=job.settings.seed,
        recorded={**job.lake.versions(), "train_until": job.night.train_until.isoformat()},
    ) as draft:
        if draft.is_new:
            _make(job, draft)
        facts = draft.metrics if draft.is_new else draft.artefact.metrics
    return {"artefact": draft.artefact.ref, "reused": not draft.is_new, **facts}


def _make(job: Job, draft: Draft) -> None:
    draft.metrics.update(fit_classifier(job, job.night.train_until, draft.path / MODEL))
    if draft.metrics["fitted"]:
        window = [job.night.train_until.isoformat(), job.night.as_of.isoformat()]
        asked = _window(job)
        draft.metrics.update(window=window, slices=_report(job, asked, draft))


def _window(job: Job) -> Question:
    """What was taken in the window, of the items that could be offered when it began."""
    night, snapshot = job.night, job.lake.snapshot(job.night.train_until)
    after = job.lake.events_between(night.train_until, night.as_of)
    offered = after.filter(pl.col("item_id").is_in(snapshot.eligible().implode()))
    return question(job, snapshot.events, offered, snapshot)


def _report(job: Job, asked: Question, draft: Draft) -> Facts:
    pairs = purchase_pairs(asked, job.settings.classifier, job.settings.seed)
    classifier = PurchaseClassifier.load(draft.path / MODEL)
    tell = progress_lines(log, "pairs of the window read")
    odds = classifier.log_odds(pairs["history"].to_list(), pairs["text"].to_list(), tell)
    popular = _popularity(job, asked, pairs["text"])
    purchased, first_time = pairs["purchased"].to_numpy(), pairs["first_time"].to_numpy()
    slices = {"all": np.ones(len(pairs), bool), "new": first_time}
    return {
        name: {
            **classification(purchased[rows], odds[rows], LABELS),
            "popular": ranking(purchased[rows], popular[rows]),
        }
        for name, rows in slices.items()
    }


def _popularity(job: Job, asked: Question, texts: pl.Series) -> Floats:
    """Distinct buyers of each text in the last days before the cut, (n,)."""
    since = days_before(job.night.train_until, POPULAR_DAYS, job.settings.zone)
    buyers = (
        asked.before.filter(
            pl.col("occurred_at") >= since, pl.col("event_type").is_in(list(asked.target_events))
        )
        .group_by(text="item_id")
        .agg(buyers=pl.col("user_id").n_unique())
    )
    found = texts.to_frame("text").join(buyers, on="text", how="left", maintain_order="left")
    return found["buyers"].fill_null(0).cast(pl.Float32).to_numpy()
