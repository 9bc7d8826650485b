"""From lists to the rows of the JSON: HR and NDCG with bootstrap intervals over shoppers, and who leads by how much."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from benchmarks.intervals import Figure, Floats, Resampled
from benchmarks.results import RESAMPLES, Row, Spent
from recsys_tasks.model.sequences import Ints

AT = (5, 10, 20)
METRICS = (*(f"HR@{k}" for k in AT), *(f"NDCG@{k}" for k in AT))
COLD_METRICS = ("Recall@50", "HR@50")
# Whose lead over every other row is told.
REFERENCES = ("ours", "ours-tower")
SEED = 0
NOT_LISTED = 1_000_000


@dataclass(frozen=True)
class Slice:
    """Scores (n, m) of every system on the same n rows of ``users``; m metrics."""

    split: str
    name: str
    users: pl.Series
    metrics: tuple[str, ...]
    scores: Mapping[str, Floats]


def ranks(lists: Ints, targets: Ints) -> Ints:
    """(n,) place of each target in its list from 0; NOT_LISTED where it is not there."""
    found = lists == targets[:, None]
    return np.where(found.any(axis=1), found.argmax(axis=1), NOT_LISTED).astype(np.int64)


def accuracy(lists: Ints, targets: Ints) -> Floats:
    """(n, METRICS); one target a row, so NDCG is 1 / log2(rank + 1)."""
    rank = ranks(lists, targets)[:, None]
    hit = rank < np.array(AT)
    return np.concatenate([hit, hit / np.log2(rank + 2)], axis=1)


def found(lists: Ints, targets: Ints) -> Floats:
    """(n, COLD_METRICS): whether the list holds the target; with one target a row both are the same."""
    hit = ranks(lists, targets) < NOT_LISTED
    return np.repeat(hit[:, None], len(COLD_METRICS), axis=1).astype(np.float64)


def rows_of(part: Slice, spent: Mapping[str, Spent]) -> Iterator[Row]:
    """Means of every system, then the leads of the references (paired; system "ours - ease", against "ease")."""
    systems, width = list(part.scores), len(part.metrics)
    drawn = Resampled.of(part.users, np.concatenate(list(part.scores.values()), axis=1), RESAMPLES, SEED)

    def row(system: str, metric: str, figure: Figure, cost: Spent, against: str | None = None) -> Row:
        return {
            "system": system if against is None else f"{system} - {against}",
            "split": part.split,
            "slice": part.name,
            "metric": metric,
            "value": round(figure.value, 6),
            "ci_low": round(figure.low, 6),
            "ci_high": round(figure.high, 6),
            "seconds": cost.seconds,
            "peak_mb": cost.peak_mb,
            "rows": len(part.users),
            "users": part.users.n_unique(),
            "against": against,
        }

    for place, system in enumerate(systems):
        for column, metric in enumerate(part.metrics):
            yield row(system, metric, drawn.mean(place * width + column), spent[system])
    for reference in (name for name in REFERENCES if name in systems):
        for place, other in enumerate(systems):
            for column, metric in enumerate(part.metrics if other != reference else ()):
                ahead = drawn.ahead(systems.index(reference) * width + column, place * width + column)
                yield row(reference, metric, ahead, spent[reference], other)
