"""Rows that need no fitting: popularity over a window, and text vectors alone; as models of the product's contract."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys_tasks.evaluate.encoder_gate import HALF_LIFE_DAYS, HISTORY_EVENTS
from recsys_tasks.model.histories import Histories, microseconds
from recsys_tasks.model.similarity import Sides
from recsys_tasks.model.vectors import TextVectors
from recsys_tasks.recommend.candidates import SOURCES
from recsys_tasks.recommend.context import Context
from recsys_tasks.recommend.model import Ranked
from recsys_tasks.recommend.proposals import Proposals, best
from recsys_tasks.recommend.shoppers import Shoppers

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

# Shoppers scored against the whole catalogue at a time.
BLOCK = 256
# What the rows call their source; reasons are not made for them.
SOURCE = SOURCES[0]


@dataclass(frozen=True)
class PopularityModel:
    """The items that most shoppers took in the last ``days`` days (None: ever); ties by item_id."""

    ref: str
    days: int | None
    likeness: None = None

    def at(self, context: Context) -> "OpenedPopularity":
        snapshot = context.snapshot
        rows = snapshot.events.filter(pl.col("event_type").is_in(list(context.target_events)))
        if self.days is not None:
            rows = rows.filter(pl.col("occurred_at") >= snapshot.as_of - timedelta(days=self.days))
        counts = rows.group_by("item_id").agg(buyers=pl.col("user_id").n_unique())
        joined = (
            context.items.alias("item_id")
            .to_frame()
            .join(counts, on="item_id", how="left", maintain_order="left")
        )
        return OpenedPopularity(context, joined["buyers"].fill_null(0).to_numpy().astype(np.float32))


@dataclass(frozen=True)
class OpenedPopularity:
    """``score`` (n,) of every item of the context."""

    context: Context
    score: Floats
    likeness: None = None

    def prepare(self) -> None:
        """Nothing: the score is there."""

    def rank(self, shoppers: Shoppers, *, new_only: bool, limit: int) -> Ranked:
        """The same order for everybody, less what the shopper knows."""
        places = self.context.allowed_places
        order = places[np.argsort(-self.score[places], kind="stable")]
        known = np.bincount(shoppers.split(shoppers.seen)[0], minlength=1).max() if new_only else 0
        order = order[: limit + int(known)]
        shopper = np.repeat(np.arange(len(shoppers.ids)), len(order))
        item = np.tile(order, len(shoppers.ids))
        may = ~shoppers.is_seen(shoppers.key(shopper, item)) if new_only else np.ones(len(item), np.bool_)
        return Ranked.of(best(shopper[may], item[may], self.score[item[may]], limit), SOURCE)


@dataclass(frozen=True)
class TextModel:
    """
    Likeness of an item's text to the decayed mean of the texts of the shopper's history: no id, no popularity.

    Half-life and length of the history are those of the encoder gate.
    """

    ref: str
    vectors: TextVectors

    def at(self, context: Context) -> "OpenedText":
        return OpenedText(self.vectors, context)


@dataclass(frozen=True)
class OpenedText:
    vectors: TextVectors
    context: Context
    likeness: None = None

    @cached_property
    def sides(self) -> Sides:
        """(n, T) each: the catalogue's texts as they ask and as they are offered."""
        return self.vectors.sides_of(self.context.items)

    def users(self, ids: pl.Series) -> Floats:
        """(B, T) decayed means; zeros for a shopper without history."""
        context, snapshot = self.context, self.context.snapshot
        histories = Histories.collect(snapshot.events, ids, context.items, context.weights)
        until = np.full(len(ids), microseconds(snapshot.as_of))
        bags = histories.bags(
            np.arange(len(ids)), histories.starts[1:], until, [HALF_LIFE_DAYS], HISTORY_EVENTS
        )
        weights = sp.csr_matrix(
            (bags.values[0], bags.items, bags.offsets), shape=(len(ids), len(context.items))
        )
        return np.asarray(weights @ self.sides.asked, dtype=np.float32)

    def prepare(self) -> None:
        """Nothing: every batch has products of its own."""

    def rank(self, shoppers: Shoppers, *, new_only: bool, limit: int) -> Ranked:
        """Shoppers without history get nothing here: the ladder fills their lists."""
        places = self.context.allowed_places
        users, items = self.users(shoppers.ids), self.sides.offered[places]
        parts = [
            _block(first, users[first : first + BLOCK] @ items.T, places, shoppers, new_only, limit)
            for first in range(0, len(users), BLOCK)
        ]
        merged = [np.concatenate(part) for part in zip(*parts, strict=True)]
        rows = Proposals(merged[0], merged[1], merged[2])
        return Ranked.of(rows.take(shoppers.has_history[rows.shopper]), SOURCE)


def _block(
    first: int, scores: Floats, places: Ints, shoppers: Shoppers, new_only: bool, limit: int
) -> tuple[Ints, Ints, Floats]:
    """The best of some shoppers, from dense scores (b, allowed)."""
    if new_only:
        shopper, item = shoppers.split(shoppers.seen)
        mine = (shopper >= first) & (shopper < first + len(scores))
        column = np.searchsorted(places, item[mine])
        here = (column < len(places)) & (places[np.minimum(column, len(places) - 1)] == item[mine])
        scores[shopper[mine][here] - first, column[here]] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :limit]
    value = np.take_along_axis(scores, order, axis=1)
    row, rank = np.nonzero(np.isfinite(value))
    return row + first, places[order[row, rank]], value[row, rank]
