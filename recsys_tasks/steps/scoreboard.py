"""Models side by side on the days behind an instant: what the gate and ``measure`` both read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from recsys_tasks.evaluate import window
from recsys_tasks.evaluate.window import METRICS, K
from recsys_tasks.lake.snapshot import Snapshot
from recsys_tasks.recommend.model import Model
from recsys_tasks.recommend.ranker_data import sample_users
from recsys_tasks.recommend.recommend import Recommender, side_by_side
from recsys_tasks.steps.champion import context_of
from recsys_tasks.steps.job import Job

# Which lists a slice is scored with: those that leave out what the shopper knows, or not.
NEW_ONLY = {"all": False, "new": True, "no_history": False}


@dataclass(frozen=True)
class Scoreboard:
    """``tables`` maps a slice to its rows; ``scores`` has user_id, slice, system, recall, ndcg."""

    tables: dict[str, list[dict[str, Any]]]
    scores: pl.DataFrame
    users: int


def score_models(
    job: Job, models: Mapping[str, Model], reference: str, start: datetime, end: datetime
) -> Scoreboard:
    """
    Score each model's lists, made as of ``start``, on what shoppers took until ``end``.

    Every model's lists come from the function that makes tonight's. At most ``gate.max_users`` shoppers count.
    """
    snapshot = job.lake.snapshot(start)
    wanted = _wanted(job, snapshot, end)
    parts = window.slices(wanted)
    # One look at the shop serves all: its log and its counts are the same for every model.
    context = context_of(job, snapshot)
    makers = {name: Recommender(model, context) for name, model in models.items()}
    lists = side_by_side(makers, wanted["user_id"], K)
    scores = {
        name: {part: window.score(lists[name, NEW_ONLY[part]], some) for part, some in parts.items()}
        for name in models
    }
    gate, seed = job.settings.gate, job.settings.seed
    tables = {
        part: window.table({name: scores[name][part] for name in models}, reference, gate.resamples, seed)
        for part in parts
    }
    return Scoreboard(tables, _long(scores), wanted["user_id"].n_unique())


def metric_rows(tables: Mapping[str, list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """The tables as the store keeps them: a row a system, slice and metric."""
    for part, rows in tables.items():
        for row in rows:
            for name in (f"{metric}@{K}" for metric in METRICS):
                low, high = row[f"{name}_interval"]
                figures = {"value": row[name], "low": low, "high": high}
                yield {"system": row["system"], "slice": part, "metric": name, **figures}


def _wanted(job: Job, snapshot: Snapshot, end: datetime) -> pl.DataFrame:
    after = job.lake.events_between(snapshot.as_of, end)
    wanted = window.targets(after, job.settings.target_events, snapshot.events, snapshot.eligible())
    users = sample_users(wanted["user_id"], job.settings.gate.max_users, job.settings.seed)
    return wanted.filter(pl.col("user_id").is_in(users.implode()))


def _long(scores: Mapping[str, Mapping[str, pl.DataFrame]]) -> pl.DataFrame:
    return pl.concat(
        frame.select("user_id", pl.lit(part).alias("slice"), pl.lit(name).alias("system"), *METRICS)
        for name, by_part in scores.items()
        for part, frame in by_part.items()
    )
