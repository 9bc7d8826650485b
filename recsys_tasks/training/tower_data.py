"""
What the towers learn from, as arrays: histories, positives, popularity by cut, and the batches drawn from them.

Letters: E examples, V items of the vocabulary, C cuts (distinct ends of history), P popularity windows.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_tasks.errors import EmptyPartition
from recsys_tasks.model.histories import US_PER_DAY, Bags, Histories, microseconds
from recsys_tasks.model.popularity import popularity_matrix
from recsys_tasks.settings import TowerSettings

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

FULL_SOFTMAX_BELOW = 5_000
SAMPLING_EXPONENT = 0.5


@dataclass(frozen=True)
class TowerData:
    """Everything of one fit that does not change while it runs."""

    item_ids: pl.Series
    histories: Histories
    users: Ints
    """(E,) user code of each example."""
    until: Ints
    """(E,) end of its history, in us."""
    ends: Ints
    """(E,) the same as a place in ``histories``."""
    weights: Floats
    """(E,) recency of the example."""
    positive_starts: Ints
    """(E + 1,)"""
    positives: Ints
    """Item codes, example by example."""
    cuts: Ints
    """(E,) row of ``popularity``."""
    popularity: Floats
    """(C, V, P) log1p of buyers as of each cut."""
    counts: Ints
    """(V,) events of each item."""

    def __len__(self) -> int:
        return len(self.users)


@dataclass(frozen=True)
class Batch:
    """B examples with their candidates: each one's own positives, and K negatives that all share."""

    rows: Ints
    bags: Bags
    weights: Floats
    cuts: Ints
    positive_rows: Ints
    """Which example of the batch each positive belongs to."""
    positives: Ints
    negatives: Ints
    """(K,) distinct item codes."""
    correction: Floats
    """(K,) what to add to a negative's logit so that the sum over negatives estimates the sum over all items."""
    masked_rows: Ints
    masked_columns: Ints
    """Cells (example, negative) that are no negatives: own positives, and own history where targets are new."""


def has_positives(examples: pl.DataFrame, settings: TowerSettings, until: datetime) -> bool:
    """Whether a fit on what happened before ``until`` finds anything to learn from."""
    usable = examples.filter(pl.col("positives_until") < until)
    new_only = settings.targets == "new"
    return usable.filter(pl.col("is_new").list.any() | (not new_only)).height > 0


def tower_data(
    events: pl.DataFrame,
    examples: pl.DataFrame,
    settings: TowerSettings,
    weights: Mapping[str, float],
    until: datetime,
) -> TowerData:
    """
    Arrays of a fit on what happened before ``until``; later events, and examples that reach later, are left out.

    The vocabulary is every item with an event before ``until``. Raises EmptyPartition where nothing is left to
    learn from.
    """
    events = events.filter(pl.col("occurred_at") < until, pl.col("event_type").is_in(sorted(weights)))
    item_ids = events["item_id"].unique().sort()
    rows = _positives(
        examples.filter(pl.col("positives_until") < until), item_ids, new_only=settings.targets == "new"
    )
    if len(rows) == 0:
        raise EmptyPartition(
            f"no training example ends before {until:%Y-%m-%d}: the log is too short for pairs.target_days; "
            "load more history or lower it"
        )
    users = rows["user_id"].unique().sort()
    histories = Histories.collect(events, users, item_ids, weights)
    user = _codes(rows["user_id"], users)
    ends_at = rows["history_until"].dt.epoch("us").to_numpy()
    cut_times = rows["history_until"].unique().sort()
    lengths = rows["codes"].list.len().to_numpy()
    age_days = (microseconds(until) - ends_at) / US_PER_DAY
    return TowerData(
        item_ids=item_ids,
        histories=histories,
        users=user,
        until=ends_at,
        ends=histories.ends(user, ends_at),
        weights=np.exp2(-age_days / settings.example_half_life_days).astype(np.float32),
        positive_starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        positives=rows["codes"].explode().to_numpy(),
        cuts=_codes(rows["history_until"], cut_times),
        popularity=_popularity_by_cut(events, cut_times, item_ids, settings.popularity_days),
        counts=_counts(events, item_ids),
    )


def _positives(examples: pl.DataFrame, item_ids: pl.Series, *, new_only: bool) -> pl.DataFrame:
    """``user_id, history_until, codes``: the known positives of each example that has any, in a total order."""
    codes = pl.DataFrame({"item_id": item_ids, "code": np.arange(len(item_ids))})
    return (
        examples.lazy()
        .select("user_id", "history_until", pl.col("positive_ids").alias("item_id"), "is_new")
        .explode("item_id", "is_new")
        .filter(pl.col("is_new") | (not new_only))
        .join(codes.lazy(), on="item_id", how="inner")
        .group_by("user_id", "history_until")
        .agg(pl.col("code").unique().sort().alias("codes"))
        .sort("history_until", "user_id")
        .collect()
    )


def _codes(values: pl.Series, known: pl.Series) -> Ints:
    """Places of ``values`` in the sorted series ``known``, which holds them all."""
    return known.search_sorted(values).cast(pl.Int64).to_numpy()


def _popularity_by_cut(
    events: pl.DataFrame, cuts: pl.Series, item_ids: pl.Series, windows: list[int]
) -> Floats:
    # Without what launches may hope for: with it the vectors learned less of them (measured).
    return np.stack([popularity_matrix(events, cut, item_ids, windows) for cut in cuts])


def _counts(events: pl.DataFrame, item_ids: pl.Series) -> Ints:
    counted = events.group_by("item_id").len("count")
    wanted = pl.DataFrame({"item_id": item_ids})
    return (
        wanted.join(counted, on="item_id", how="left", maintain_order="left")["count"]
        .cast(pl.Int64)
        .to_numpy()
    )


def batches(data: TowerData, settings: TowerSettings, rng: np.random.Generator) -> Iterator[Batch]:
    """
    One epoch in random order.

    An epoch takes at most ``max_examples``, newer ones more often; where all are taken, each one's recency is
    its weight in the loss instead.
    """
    sampled = len(data) > settings.max_examples
    shares = data.weights / data.weights.sum(dtype=np.float64) if sampled else None
    taken = rng.choice(len(data), min(len(data), settings.max_examples), replace=False, p=shares)
    taken = rng.permutation(taken)
    for start in range(0, len(taken), settings.batch_examples):
        rows = np.sort(taken[start : start + settings.batch_examples])
        weights = np.ones(len(rows), dtype=np.float32) if sampled else data.weights[rows]
        yield _batch(data, rows, weights, settings, rng)


def steps_of(data: TowerData, settings: TowerSettings) -> int:
    """Batches of an epoch."""
    return -(-min(len(data), settings.max_examples) // settings.batch_examples)


def _batch(
    data: TowerData, rows: Ints, weights: Floats, settings: TowerSettings, rng: np.random.Generator
) -> Batch:
    negatives, correction = _negatives(data.counts, settings.negatives, rng)
    correction = correction * np.float32(settings.logq)
    begins, ends = data.positive_starts[rows], data.positive_starts[rows + 1]
    owner, positives = _slices(begins, ends, data.positives)
    masks = [_cells(owner, positives, negatives, len(data.item_ids))]
    if settings.targets == "new":
        histories = data.histories
        own = _slices(histories.starts[data.users[rows]], data.ends[rows], histories.items)
        masks.append(_cells(*own, negatives, len(data.item_ids)))
    cells = np.concatenate(masks, axis=1)
    return Batch(
        rows=rows,
        bags=data.histories.bags(
            data.users[rows],
            data.ends[rows],
            data.until[rows],
            settings.half_lives_days,
            settings.history_events,
        ),
        weights=weights,
        cuts=data.cuts[rows],
        positive_rows=owner,
        positives=positives,
        negatives=negatives,
        correction=correction,
        masked_rows=cells[0],
        masked_columns=cells[1],
    )


def _negatives(counts: Ints, draws: int, rng: np.random.Generator) -> tuple[Ints, Floats]:
    """
    Distinct item codes, and for each log(times drawn / (draws * q)): importance sampling of all items, q ~ count^.5.

    Below FULL_SOFTMAX_BELOW items all of them, uncorrected.
    """
    if len(counts) < FULL_SOFTMAX_BELOW:
        return np.arange(len(counts)), np.zeros(len(counts), dtype=np.float32)
    q = np.maximum(counts, 1) ** SAMPLING_EXPONENT
    edges = np.cumsum(q)
    drawn = np.searchsorted(edges, rng.random(draws) * edges[-1], side="right")
    codes, times = np.unique(np.minimum(drawn, len(counts) - 1), return_counts=True)
    return codes, np.log(times * edges[-1] / (draws * q[codes])).astype(np.float32)


def _slices(begins: Ints, ends: Ints, values: Ints) -> tuple[Ints, Ints]:
    """``values[begins[i]:ends[i]]`` for every i, joined, and which i each one is from."""
    lengths = ends - begins
    owner = np.repeat(np.arange(len(begins)), lengths)
    before = np.cumsum(lengths) - lengths
    return owner, values[np.arange(len(owner)) + np.repeat(begins - before, lengths)]


def _cells(owner: Ints, codes: Ints, negatives: Ints, vocabulary: int) -> Ints:
    """(2, n): rows and columns of the cells of (example, negative) that hold one of these codes."""
    column = np.full(vocabulary, -1, dtype=np.int64)
    column[negatives] = np.arange(len(negatives))
    hit = column[codes] >= 0
    return np.stack([owner[hit], column[codes[hit]]])
