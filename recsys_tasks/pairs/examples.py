"""
What the towers learn from: per shopper and week, what the shopper took in the following weeks.

Cuts are counted back from ``train_until``, so they do not depend on where the log begins. Every target period ends
at ``train_until`` or before: the last cut lies ``target_days`` back, a shorter period would teach that shoppers
take little. Nothing is joined per cut: an event knows which cuts' periods it lies in (two binary searches), and
an item is new at a cut exactly when the shopper's first event with it, of any type, is not older than the cut.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import dataframely as dy
import numpy as np
import polars as pl

from recsys_tasks.calendar import days_before
from recsys_tasks.pairs.coding import CodedLog, code_log, instants, micros
from recsys_tasks.pairs.keys import Ints
from recsys_tasks.pairs.orders import EXAMPLE_ORDER
from recsys_tasks.schema import Examples
from recsys_tasks.settings import PairSettings

UTC_ZONE = ZoneInfo("UTC")


def basket_examples(
    events: pl.DataFrame,
    settings: PairSettings,
    weights: Mapping[str, float],
    train_until: datetime,
    *,
    target_events: Sequence[str] | None = None,
    zone: ZoneInfo = UTC_ZONE,
) -> dy.DataFrame[Examples]:
    """
    One row per cut and shopper with an event before the cut and a target in its period, in EXAMPLE_ORDER.

    ``train_until`` may be any instant; days are counted in the shop's ``zone``. ``target_events`` (all types with a
    weight, where not given) are what counts as taken. Of more than ``max_positives`` items the ones that weigh most in
    the period stay, the newest of equals first; ``positives_until`` is the last event of those that stay.
    """
    log = code_log(events, weights, train_until)
    types = weights if target_events is None else target_events
    return named_examples(log, settings, train_until, target_events=list(types), zone=zone)


def named_examples(
    log: CodedLog,
    settings: PairSettings,
    train_until: datetime,
    *,
    target_events: Sequence[str],
    zone: ZoneInfo = UTC_ZONE,
) -> dy.DataFrame[Examples]:
    """The same for a log that is coded already, up to ``train_until``."""
    begins, ends = _periods(train_until, settings, zone)
    kinds = [place for place, kind in enumerate(log.kinds) if kind in target_events]
    positives = (
        _with_first_events(log.rows)
        .filter(pl.col("kind").is_in(kinds), pl.col("weight").is_not_null())
        .pipe(_per_period, begins, ends, n_users=len(log.users))
        .pipe(_distinct_items, n_items=len(log.items))
        .pipe(_heaviest, limit=settings.max_positives)
    )
    return Examples.validate(_gathered(positives, log, begins).sort(EXAMPLE_ORDER))


def _periods(train_until: datetime, settings: PairSettings, zone: ZoneInfo) -> tuple[Ints, Ints]:
    """Begin (the cut) and end of every target period, oldest first, in microseconds."""
    back = range(settings.target_days, settings.history_days + 1, settings.example_every_days)
    ends = [days_before(train_until, days - settings.target_days, zone) for days in reversed(back)]
    begins = [days_before(train_until, days, zone) for days in reversed(back)]
    return _as_micros(begins), _as_micros(ends)


def _as_micros(moments: list[datetime]) -> Ints:
    return np.array([micros(moment) for moment in moments], dtype=np.int64)


def _with_first_events(rows: pl.DataFrame) -> pl.DataFrame:
    """
    Each event with the shopper's first one that models learn from (``since``: a history begins) and the first of
    any type with this item (``known_since``: whatever showed it, it was not new from then on).
    """
    learned_from = pl.col("at").filter(pl.col("weight").is_not_null())
    return rows.with_columns(
        since=learned_from.min().over("user"), known_since=pl.col("at").min().over("user", "item")
    )


def _per_period(rows: pl.DataFrame, begins: Ints, ends: Ints, *, n_users: int) -> pl.DataFrame:
    """Each event once per period it lies in whose shopper has a history; ``example`` is period * n_users + user."""
    at = rows["at"].to_numpy()
    first = np.searchsorted(ends, at, side="right")
    # A shopper's history is what lies before the cut, so the cut must be later than the first event.
    first = np.maximum(first, np.searchsorted(begins, rows["since"].to_numpy(), side="right"))
    behind_last = np.searchsorted(begins, at, side="right")
    copies = np.maximum(behind_last - first, 0)
    row = np.repeat(np.arange(len(at)), copies)
    period = first[row] + np.arange(len(row)) - np.repeat(np.cumsum(copies) - copies, copies)
    found = rows.select("user", "item", "at", "weight", "known_since")[row]
    known = found["known_since"].to_numpy() < begins[period]
    example = period * n_users + found["user"].cast(pl.Int64).to_numpy()
    return found.select("item", "at", "weight", example=pl.Series(example), is_new=pl.Series(~known))


def _distinct_items(rows: pl.DataFrame, *, n_items: int) -> pl.DataFrame:
    """One row per example and item: how much it weighs in the period, its last event, whether it was new."""
    both = pl.col("example") * n_items + pl.col("item")
    return (
        rows.group_by(both=both)
        .agg(weight=pl.col("weight").sum().round(6), last=pl.col("at").max(), is_new=pl.col("is_new").all())
        .with_columns(example=pl.col("both") // n_items, item=(pl.col("both") % n_items).cast(pl.UInt32))
    )


def _heaviest(positives: pl.DataFrame, *, limit: int) -> pl.DataFrame:
    """The ``limit`` first of each example, in a total order."""
    return positives.sort("example", "weight", "last", "item", descending=[False, True, True, False]).filter(
        pl.int_range(pl.len()).over("example") < limit
    )


def _gathered(positives: pl.DataFrame, log: CodedLog, begins: Ints) -> pl.DataFrame:
    """The positives of an example as lists, ids for codes."""
    examples = (
        positives.with_columns(item_id=log.item_ids(positives["item"]))
        .group_by("example", maintain_order=True)
        .agg(positive_ids="item_id", last=pl.col("last").max(), is_new="is_new")
    )
    n_users = max(len(log.users), 1)
    return pl.DataFrame(
        [
            log.user_ids(examples["example"] % n_users),
            instants(pl.Series(begins[examples["example"].to_numpy() // n_users]), "history_until"),
            examples["positive_ids"],
            instants(examples["last"], "positives_until"),
            examples["is_new"],
        ]
    )
