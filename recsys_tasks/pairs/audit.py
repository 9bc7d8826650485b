"""
The time audit: what tonight's training would learn from, checked against the night's own cuts.

Every rule looks at finished data, not at the code that made it, and returns what it found: nothing, if all is
well. A rule is pure; the step ``audit_time`` reads the files and stops the night.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import polars as pl

from recsys_tasks.calendar import Night
from recsys_tasks.lake.snapshot import EVENT_ORDER, Snapshot
from recsys_tasks.pairs.coding import CodedLog, code_log
from recsys_tasks.pairs.history import Timeline, own_items
from recsys_tasks.pairs.orders import EXAMPLE_ORDER, NEGATIVE_ORDER, PAIR_ORDER

REF = re.compile(r"^(?P<name>\w+)/(?P<night>\d{4}-\d{2}-\d{2})/(?P<fingerprint>\w+)$")


@dataclass(frozen=True)
class Finding:
    """A broken rule: how many rows break it, and one of them in words."""

    rule: str
    count: int
    example: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.count}, for example {self.example}"


@dataclass(frozen=True)
class LearningCut:
    """Candidates are made as of ``at`` and labelled by what was taken from then until ``until``."""

    at: datetime
    until: datetime


@dataclass(frozen=True)
class Evidence:
    """
    Everything tonight's training would see.

    ``snapshot`` is the shop as of the night's end; the frames are the artefact ``pairs``. ``models`` maps the name of
    each earlier artefact that the night looks at (``towers/2017-12-02/8c1f...``) to the names of what it was made from;
    ``fitted_until`` tells, for those that training starts from and their ancestors, up to where each saw the log.
    ``ranker_cuts`` are the instants that the ranker is to learn from.
    """

    night: Night
    snapshot: Snapshot
    pairs: pl.DataFrame
    negatives: pl.DataFrame
    examples: pl.DataFrame
    models: Mapping[str, Iterable[str]] = field(default_factory=dict)
    fitted_until: Mapping[str, datetime] = field(default_factory=dict)
    ranker_cuts: Sequence["LearningCut"] = ()

    @property
    def train_until(self) -> datetime:
        return self.night.train_until

    @cached_property
    def log(self) -> CodedLog:
        """The events training may use."""
        return code_log(self.snapshot.events, until=self.train_until)


def audit(evidence: Evidence) -> dict[str, list[Finding]]:
    """What each rule found; a clean night has an empty list for every rule."""
    return {name: list(rule(evidence)) for name, rule in RULES.items()}


def events_after_the_night(evidence: Evidence) -> Iterable[Finding]:
    """An event at or after the night's end, in the log as the night sees it."""
    late = evidence.snapshot.events.filter(pl.col("occurred_at") >= evidence.night.as_of)
    return _found("event at or after the night's end", late.select(EVENT_ORDER))


def training_in_the_window(evidence: Evidence) -> Iterable[Finding]:
    """A pair or example that uses the days the gate keeps for itself."""
    until, pairs, examples = (
        evidence.train_until,
        evidence.pairs,
        evidence.examples.drop("positive_ids", "is_new"),
    )
    return [
        *_found("pair inside the gate's window", pairs.filter(pl.col("occurred_at") >= until)),
        *_found("target inside the gate's window", examples.filter(pl.col("positives_until") >= until)),
        *_found("history that runs into the gate's window", examples.filter(pl.col("history_until") > until)),
    ]


def items_from_the_future(evidence: Evidence) -> Iterable[Finding]:
    """An item nobody could know yet: offered before its launch, or trained on without any event before the window."""
    early = evidence.snapshot.items.filter(pl.col("available_from") > evidence.night.as_of)
    offered = (
        early.filter(pl.col("item_id").is_in(evidence.snapshot.eligible().implode())) if len(early) else early
    )
    trained = [
        evidence.pairs["anchor_id"],
        evidence.pairs["positive_id"],
        evidence.negatives["negative_id"],
        evidence.examples["positive_ids"].explode(),
    ]
    unseen = pl.concat([ids.unique() for ids in trained]).unique().sort()
    unseen = unseen.filter(~unseen.is_in(evidence.log.items.implode()))
    return [
        *_found("item offered before its launch", offered.select("item_id", "available_from")),
        *_found("item in training that had no event yet", unseen.alias("item_id").to_frame()),
    ]


def models_from_the_future(evidence: Evidence) -> Iterable[Finding]:
    """A model to start from that is of tonight or later, was made from such a one, or saw tonight's window."""
    tonight = str(evidence.night)
    late = [ref for ref in evidence.models if night_of_ref(ref) >= tonight]
    tainted = [
        f"{ref} was made from {source}"
        for ref, sources in evidence.models.items()
        for source in sources
        if night_of_ref(source) > min(night_of_ref(ref), tonight)
    ]
    seeing = [
        f"{ref} saw the log up to {until.isoformat()}"
        for ref, until in evidence.fitted_until.items()
        if until > evidence.train_until
    ]
    broken = {
        "model of this night or later": late,
        "model made from a later one": tainted,
        "model fitted on days of the gate's window": seeing,
    }
    return [
        finding
        for rule, models in broken.items()
        for finding in _found(rule, pl.DataFrame({"model": models}, schema={"model": pl.String}))
    ]


def ranker_in_the_window(evidence: Evidence) -> Iterable[Finding]:
    """A cut whose labels lie in the days that the gate keeps for itself, or that has none."""
    return labels_in_the_window(evidence.ranker_cuts, evidence.train_until)


def labels_in_the_window(cuts: Iterable[LearningCut], train_until: datetime) -> list[Finding]:
    """The ranker's cuts that see anything at or after ``train_until``, or that end before they begin."""
    instant = pl.Datetime("us", "UTC")
    rows = pl.DataFrame(
        [(cut.at, cut.until) for cut in cuts],
        schema={"cut": instant, "labels_until": instant},
        orient="row",
    )
    return [
        *_found("ranker labels inside the gate's window", rows.filter(pl.col("labels_until") > train_until)),
        *_found(
            "ranker cut without days for its labels", rows.filter(pl.col("labels_until") <= pl.col("cut"))
        ),
    ]


def targets_in_their_history(evidence: Evidence) -> Iterable[Finding]:
    """A target the history already holds: it did not happen after the cut, or is called new and is not."""
    targets = evidence.examples.explode("positive_ids", "is_new").rename({"positive_ids": "item_id"})
    unconfirmed, miscalled = Timeline(evidence.log).contradictions(targets)
    return [
        *_found("target that did not happen after its history", targets.filter(unconfirmed)),
        *_found("target wrongly called new or known", targets.filter(miscalled)),
    ]


def unstable_order(evidence: Evidence) -> Iterable[Finding]:
    """Rows out of their total order: equal times would stand in the order they arrived in."""
    return [
        *_found("event out of order", _misplaced(evidence.snapshot.events, EVENT_ORDER, repeats=True)),
        *_found("pair out of order or twice", _misplaced(evidence.pairs, PAIR_ORDER)),
        *_found("negative out of order or twice", _misplaced(evidence.negatives, NEGATIVE_ORDER)),
        *_found("example out of order or twice", _misplaced(evidence.examples, EXAMPLE_ORDER)),
    ]


def negatives_that_are_own(evidence: Evidence) -> Iterable[Finding]:
    """A negative its shopper had touched."""
    return _found("negative that its shopper had touched", own_items(evidence.negatives, evidence.log))


def wrong_pairs(
    pairs: pl.DataFrame, negatives: pl.DataFrame, log: CodedLog, until: datetime
) -> list[Finding]:
    """What is wrong with pairs and negatives that were made of ``log``, which ends at ``until``, for one training."""
    return [
        *_found(f"pair at or after {until.isoformat()}", pairs.filter(pl.col("occurred_at") >= until)),
        *_found("negative that its shopper had touched", own_items(negatives, log)),
    ]


RULES: dict[str, Callable[[Evidence], Iterable[Finding]]] = {
    "events_after_the_night": events_after_the_night,
    "training_in_the_window": training_in_the_window,
    "items_from_the_future": items_from_the_future,
    "models_from_the_future": models_from_the_future,
    "ranker_in_the_window": ranker_in_the_window,
    "targets_in_their_history": targets_in_their_history,
    "unstable_order": unstable_order,
    "negatives_that_are_own": negatives_that_are_own,
}


def night_of_ref(ref: str) -> str:
    """The night in ``name/night/fingerprint``."""
    match = REF.match(ref)
    if match is None:
        raise ValueError(f"{ref!r} names no artefact; expected name/night/fingerprint")
    return match["night"]


def _found(rule: str, rows: pl.DataFrame) -> list[Finding]:
    if rows.is_empty():
        return []
    example = ", ".join(f"{name} {value}" for name, value in rows.row(0, named=True).items())
    return [Finding(rule, len(rows), example)]


def _misplaced(rows: pl.DataFrame, order: tuple[str, ...], *, repeats: bool = False) -> pl.DataFrame:
    """Rows that should stand before the row above them, or (unless ``repeats``) that equal it."""
    smaller, equal = pl.lit(value=False), pl.lit(value=True)
    for name in order:
        above = pl.col(name).shift(1)
        smaller = smaller | (equal & (pl.col(name) < above))
        equal = equal & (pl.col(name) == above)
    wrong = smaller if repeats else smaller | equal
    return rows.select(order).filter(wrong.fill_null(value=False))
