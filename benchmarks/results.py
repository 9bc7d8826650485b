"""
From every shopper's scores to the rows of the JSON.

A row is {system, split, slice, metric, value, ci_low, ci_high, seconds, peak_mb, cut, horizon, target, users, against}.
No two rows share system, split, slice and metric. The final figures have split "test": all cuts pooled, the longest
horizon. A single cut is "test/2011-07-10", another horizon "test/7d", both "test/2011-07-10/7d". How far a system is
ahead of another (paired) is a row of its own: system "ours - repeat", ``against`` "repeat".
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.intervals import Figure, Resampled
from benchmarks.metrics import COVERAGE, GINI, METRICS
from recsys_tasks.files import write_whole

Row = dict[str, Any]

SPLIT, POOLED = "test", "pooled"
RESAMPLES = 1000
# Whose lead over every other row is told, and in what.
REFERENCES = ("ours", "ours-tower")
PAIRED = ("Recall@10", "Recall@20", "Recall@50", "NDCG@10")
KEYS = ("cut", "horizon", "slice", "target", "system", "user_id")


@dataclass(frozen=True)
class Spent:
    """What a system cost: seconds and peak MB of one cut (pooled: the mean of the seconds, the highest peak)."""

    seconds: float
    peak_mb: float

    @classmethod
    def pooled(cls, parts: Sequence["Spent"]) -> "Spent":
        seconds = sum(part.seconds for part in parts) / max(len(parts), 1)
        return cls(round(seconds, 2), max((part.peak_mb for part in parts), default=0.0))


Costs = Mapping[tuple[str, date], Spent]


def split_name(cut: date | None, horizon: int, longest: int) -> str:
    """``cut`` None: all cuts pooled."""
    parts = [
        SPLIT,
        *([] if cut is None else [cut.isoformat()]),
        *([] if horizon == longest else [f"{horizon}d"]),
    ]
    return "/".join(parts)


def score_rows(scores: pl.DataFrame, costs: Costs, seed: int, resamples: int = RESAMPLES) -> Iterator[Row]:
    """
    The rows of ``scores``: KEYS and METRICS, a row a shopper, system, slice, horizon and cut.

    The pooled rows of the longest horizon come first. Every shopper's row of every cut counts alike.
    """
    longest = int(scores["horizon"].max())  # type: ignore[arg-type]
    cuts: list[date | None] = [None, *scores["cut"].unique().sort().to_list()]
    parts = scores.sort("horizon", descending=True, maintain_order=True).partition_by(
        "horizon", "slice", "target", maintain_order=True
    )
    for cut in cuts:
        for part in parts:
            rows = part if cut is None else part.filter(pl.col("cut") == cut)
            if not rows.is_empty():
                yield from _slice_rows(rows, cut, longest, costs, seed, resamples)


def _slice_rows(
    rows: pl.DataFrame, cut: date | None, longest: int, costs: Costs, seed: int, resamples: int
) -> Iterator[Row]:
    systems = rows["system"].unique(maintain_order=True).to_list()
    horizon, name, target = rows.select("horizon", "slice", "target").row(0)
    users, values = _matrix(rows, systems)
    drawn = Resampled.of(users, values, resamples, seed)
    facts = {
        "cut": POOLED if cut is None else cut.isoformat(),
        "horizon": horizon,
        "target": target,
        "users": users.n_unique(),
    }
    split = split_name(cut, horizon, longest)
    spent = {system: spent_by(system, cut, costs) for system in systems}
    for system, metric, against, figure in _figures(drawn, systems):
        called = system if against is None else f"{system} - {against}"
        head = {"system": called, "split": split, "slice": name, "metric": metric}
        yield {**head, **_told(figure, spent[system]), **facts, "against": against}


def _matrix(rows: pl.DataFrame, systems: list[str]) -> tuple[pl.Series, np.ndarray]:
    """The user of each (cut, user) and (n, systems * METRICS) scores; every system has the same shoppers."""
    parts = [rows.filter(pl.col("system") == system).sort("cut", "user_id") for system in systems]
    for part in parts[1:]:
        assert part.select("cut", "user_id").equals(parts[0].select("cut", "user_id"))
    values = np.concatenate([part.select(METRICS).to_numpy() for part in parts], axis=1)
    return parts[0]["user_id"], values.astype(np.float64)


def _figures(drawn: Resampled, systems: list[str]) -> Iterator[tuple[str, str, str | None, Figure]]:
    """(system, metric, against, figure): means first, then the leads of the references."""
    column = {
        (system, metric): place
        for place, (system, metric) in enumerate((system, metric) for system in systems for metric in METRICS)
    }
    for (system, metric), place in column.items():
        yield system, metric, None, drawn.mean(place)
    for reference in REFERENCES:
        for other in systems:
            if reference in systems and other != reference:
                for metric in PAIRED:
                    yield (
                        reference,
                        metric,
                        other,
                        drawn.ahead(column[reference, metric], column[other, metric]),
                    )


def spent_by(system: str, cut: date | None, costs: Costs) -> Spent:
    parts = [spent for (name, at), spent in costs.items() if name == system and cut in (None, at)]
    return Spent.pooled(parts)


def _told(figure: Figure, spent: Spent) -> Row:
    return {
        "value": round(figure.value, 6),
        "ci_low": round(figure.low, 6),
        "ci_high": round(figure.high, 6),
        "seconds": spent.seconds,
        "peak_mb": spent.peak_mb,
    }


def spread_rows(
    spreads: Mapping[tuple[str, str, date], Mapping[str, float]],
    users: Mapping[date, int],
    costs: Costs,
    horizon: int,
) -> Iterator[Row]:
    """Coverage and Gini of each (system, target, cut), and their means over the cuts; no interval."""
    cuts: list[date | None] = [None, *sorted({cut for _, _, cut in spreads})]
    for cut in cuts:
        for system, target in dict.fromkeys((system, target) for system, target, _ in spreads):
            found = [
                told
                for (name, of, at), told in spreads.items()
                if (name, of) == (system, target) and cut in (None, at)
            ]
            spent = spent_by(system, cut, costs)
            for metric in (COVERAGE, GINI):
                yield {
                    "system": system,
                    "split": split_name(cut, horizon, horizon),
                    "slice": target,
                    "metric": metric,
                    "value": round(sum(told[metric] for told in found) / len(found), 6),
                    "ci_low": None,
                    "ci_high": None,
                    "seconds": spent.seconds,
                    "peak_mb": spent.peak_mb,
                    "cut": POOLED if cut is None else cut.isoformat(),
                    "horizon": horizon,
                    "target": target,
                    "users": sum(users.values()) if cut is None else users[cut],
                    "against": None,
                }


def write_rows(file: Path, rows: Iterable[Row]) -> None:
    """A JSON list, a row a line."""
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    write_whole(file, f"[\n{lines}\n]\n")
