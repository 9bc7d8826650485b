"""
What the purchase classifier learns from: (history, item) pairs and whether the shopper then purchased the item.

Everything is about texts, as for the encoder: items with equal texts are one thing. A positive is a text that the
shopper took in the label days; a negative is one that somebody else took in them and that the shopper has never
touched. Both come from the same days, so the season tells nothing, and everybody's takings are drawn from shopper by
shopper, so what is popular stands on both sides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dataframely as dy
import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_tasks.model.purchase import SEPARATOR
from recsys_tasks.schema import PurchasePairs
from recsys_tasks.settings import ClassifierSettings

Ints = npt.NDArray[np.int64]
# A shopper who touched nearly everything may leave nothing to draw.
ROUNDS = 20


@dataclass(frozen=True)
class Question:
    """
    The events before a cut and those of the label days behind it, both ``as_texts`` and in their total order.

    ``weights`` names the event types that make a history, ``target_events`` those that count as purchased.
    """

    before: pl.DataFrame
    after: pl.DataFrame
    weights: Mapping[str, float]
    target_events: Sequence[str]


def purchase_pairs(
    question: Question, settings: ClassifierSettings, seed: int
) -> dy.DataFrame[PurchasePairs]:
    """
    The pairs of at most ``max_users`` shoppers who have a history, by shopper; the same ones for the same seed.

    Of each at most ``max_positives`` texts taken, and up to ``negatives`` distinct ones of others for each of them.
    """
    rng = np.random.default_rng(seed)
    known = histories(question.before, question.weights, settings.history_items)
    taken = (
        question.after.filter(pl.col("event_type").is_in(list(question.target_events)))
        .select("user_id", text="item_id")
        .unique()
        .sort("user_id", "text")
    )
    askers = _some(taken["user_id"].filter(taken["user_id"].is_in(known["user_id"].implode())), settings, rng)
    positives = _capped(taken.filter(pl.col("user_id").is_in(askers.implode())), settings.max_positives, rng)
    negatives = _negatives(positives, taken, _own(question), settings.negatives, rng)
    seen = question.before.select("user_id", text="item_id").unique().with_columns(first_time=False)
    return PurchasePairs.validate(
        pl.concat([positives.with_columns(purchased=True), negatives.with_columns(purchased=False)])
        .join(known, on="user_id")
        .join(seen, on=["user_id", "text"], how="left")
        .with_columns(pl.col("first_time").fill_null(True))
        .select("user_id", "history", "text", "purchased", "first_time")
        .sort("user_id", "text")
    )


def histories(before: pl.DataFrame, weights: Mapping[str, float], limit: int) -> pl.DataFrame:
    """user_id and history: the newest ``limit`` distinct texts of each shopper, newest first."""
    return (
        before.lazy()
        .filter(pl.col("event_type").is_in(sorted(weights)))
        .with_row_index("place")
        .group_by("user_id", "item_id")
        .agg(pl.col("place").max())
        .sort("user_id", "place", descending=[False, True])
        .group_by("user_id", maintain_order=True)
        .head(limit)
        .group_by("user_id", maintain_order=True)
        .agg(history=pl.col("item_id").str.join(SEPARATOR))
        .collect()
    )


def _some(users: pl.Series, settings: ClassifierSettings, rng: np.random.Generator) -> pl.Series:
    distinct = users.unique().sort()
    if len(distinct) <= settings.max_users:
        return distinct
    return distinct.gather(np.sort(rng.choice(len(distinct), settings.max_users, replace=False)))


def _capped(taken: pl.DataFrame, limit: int, rng: np.random.Generator) -> pl.DataFrame:
    """At most ``limit`` texts a shopper, drawn."""
    return (
        taken.with_columns(drawn=rng.random(len(taken)))
        .sort("user_id", "drawn")
        .group_by("user_id", maintain_order=True)
        .head(limit)
        .select("user_id", "text")
    )


def _own(question: Question) -> pl.DataFrame:
    """Every (shopper, text) of before and behind the cut, whatever was done."""
    rows = [frame.select("user_id", text="item_id") for frame in (question.before, question.after)]
    return pl.concat(rows).unique()


def _negatives(
    positives: pl.DataFrame, taken: pl.DataFrame, own: pl.DataFrame, each: int, rng: np.random.Generator
) -> pl.DataFrame:
    """``each`` texts for every positive: of another shopper, each alike, one of the texts she took; none of the own."""
    users, texts = taken["user_id"].unique().sort(), taken["text"].unique().sort()
    if len(users) < 2:
        return positives.clear()
    places = taken.select(_code("user_id", users), _code("text", texts))
    starts = np.searchsorted(places["user_id"].to_numpy(), np.arange(len(users) + 1))
    mine = own.filter(pl.col("user_id").is_in(users.implode()), pl.col("text").is_in(texts.implode()))
    own_keys = mine.select(_code("user_id", users) * len(texts) + _code("text", texts)).to_series().sort()
    asker = np.repeat(positives.select(_code("user_id", users)).to_series().to_numpy(), each)
    drawn = _drawn(asker, starts, places["text"].to_numpy(), own_keys.to_numpy(), len(texts), rng)
    found = drawn >= 0
    return (
        pl.DataFrame({"user_id": users.gather(asker[found]), "text": texts.gather(drawn[found])})
        .unique()
        .sort("user_id", "text")
    )


def _drawn(asker: Ints, starts: Ints, items: Ints, own: Ints, texts: int, rng: np.random.Generator) -> Ints:
    """One of ``items[starts[u]:starts[u + 1]]`` of another shopper u for each asker; -1 where only own ones came."""
    drawn, waiting = np.full(len(asker), -1, np.int64), np.arange(len(asker))
    counts = np.diff(starts)
    for _ in range(ROUNDS):
        other = rng.integers(len(counts) - 1, size=len(waiting))
        # One shopper fewer to choose from: whoever stands from the own place on is the next one.
        other += other >= asker[waiting]
        item = items[starts[other] + (rng.random(len(waiting)) * counts[other]).astype(np.int64)]
        free = ~np.isin(asker[waiting] * texts + item, own)
        drawn[waiting[free]] = item[free]
        waiting = waiting[~free]
    return drawn


def _code(column: str, known: pl.Series) -> pl.Expr:
    """The place of each value among the sorted distinct ``known``."""
    return pl.col(column).cast(pl.Enum(known)).to_physical().cast(pl.Int64)
