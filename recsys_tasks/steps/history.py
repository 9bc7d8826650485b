"""The walk forward: how each past night's lists did on the days that followed it, beside the plain rules."""

from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean
from typing import Any

from recsys_tasks.calendar import parse_night
from recsys_tasks.evaluate.gate import POPULAR, REPEAT
from recsys_tasks.settings import load_settings
from recsys_tasks.store.store import Store, open_store
from recsys_tasks.store.tables import Decision, Metric
from recsys_tasks.workspace import Facts, Workspace

SLICES = ("all", "new")
METRICS = ("ndcg@10", "recall@10")
# The model that made the night's lists, whoever it was, and the two rules it has to beat.
SYSTEMS = ("lists", POPULAR, REPEAT)

# Slice -> system -> metric -> value.
Table = dict[str, dict[str, dict[str, float | None]]]


def walk_forward(first: str | None = None, last: str | None = None) -> Facts:
    """
    ``{"nights": [...], "mean": {...}}``: every measured night from ``first`` to ``last``, oldest first.

    A night has ``night``, ``accepted`` and ``why`` of its gate, ``made_by`` (challenger, champion or popular) and
    ``scores``: slice -> system -> metric -> value. ``mean`` has the same over all of them.
    """
    settings = load_settings()
    store = open_store(settings.database, Workspace(settings.home).postgres)
    nights = list(_nights(store, first, last))
    return {"nights": nights, "mean": mean_of([night["scores"] for night in nights])}


def _nights(store: Store, first: str | None, last: str | None) -> Iterator[Facts]:
    begins, ends = (None if text is None else parse_night(text) for text in (first, last))
    for decision in store.decisions():
        if (begins and decision.night < begins) or (ends and decision.night > ends):
            continue
        measured = store.metrics_of(decision.night, "measure")
        if measured:
            yield night_facts(decision, measured)


def night_facts(decision: Decision, measured: Sequence[Metric]) -> Facts:
    """One night of the walk."""
    made_by = next((m.system for m in measured if m.system not in (POPULAR, REPEAT)), POPULAR)
    return {
        "night": decision.night.isoformat(),
        "accepted": decision.accepted,
        "why": decision.why,
        "made_by": made_by,
        "scores": {part: _scores(measured, part, made_by) for part in SLICES},
    }


def _scores(measured: Iterable[Metric], part: str, made_by: str) -> dict[str, dict[str, float | None]]:
    found = {(m.system, m.metric): m.value for m in measured if m.slice == part}
    who = {"lists": made_by, POPULAR: POPULAR, REPEAT: REPEAT}
    return {system: {name: found.get((who[system], name)) for name in METRICS} for system in SYSTEMS}


def mean_of(tables: Sequence[Table]) -> Table:
    """Each figure's mean over the nights that have it."""
    return {
        part: {system: {name: _mean(tables, part, system, name) for name in METRICS} for system in SYSTEMS}
        for part in SLICES
    }


def _mean(tables: Sequence[Any], part: str, system: str, name: str) -> float | None:
    known = [value for table in tables if (value := table[part][system][name]) is not None]
    return fmean(known) if known else None
