"""
What the ranker learns from: candidates as of a cut, labelled by what was taken in the days behind it.

The base model saw nothing from the first cut on, so the candidates and features of a training group come about
exactly as those of a night do: by the same code, from a snapshot as of the cut.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys_tasks.recommend.batch import Batch
from recsys_tasks.recommend.batches import batches_of, forgetful, in_order
from recsys_tasks.recommend.features import features
from recsys_tasks.recommend.log import Bools, Floats, Ints, positions
from recsys_tasks.recommend.night_model import OpenedNight
from recsys_tasks.recommend.pool import pool_of
from recsys_tasks.recommend.ranker import HEADS, Groups
from recsys_tasks.recommend.shoppers import Shoppers, found
from recsys_tasks.settings import RankerSettings

# Candidates kept in a group beside those that were taken: enough to learn an order from, a quarter of the rows.
NEGATIVES = 120


@dataclass(frozen=True)
class Labelled:
    """R candidates of some shoppers: their features (R, F), whether each was taken (R,), and whose each is (R,)."""

    values: Floats
    taken: Bools
    shopper: Ints


def groups_at(
    opened: OpenedNight, taken: pl.DataFrame, settings: RankerSettings, seed: int
) -> dict[str, Groups | None]:
    """
    The training groups of each head, none where nobody took a candidate: all candidates, and those that are new.

    They are of at most ``max_users`` of those who took something, as the model sees them at its cut; those of all
    candidates of ``who_took_enough`` only. ``taken`` has user_id and item_id: the target events of the days behind
    the cut.
    """
    opened.prepare()

    def labelled(*new_only: bool) -> Callable[[Shoppers], list[Labelled]]:
        """Of a batch of shoppers: what each of these heads is to order."""

        def of_batch(shoppers: Shoppers) -> list[Labelled]:
            batch = Batch.of(shoppers, opened.sight)
            return [_labelled(batch, settings, taken, new_only=only) for only in new_only]

        return forgetful(of_batch)

    context = opened.sight.context
    users = sample_users(taken["user_id"], settings.max_users, seed)
    some = who_took_enough(users, taken, settings.taken_per_cut, seed)
    others = users.filter(~users.is_in(some.implode()))
    both = list(in_order(labelled(False, True), batches_of(context, some)))
    alone = list(in_order(labelled(True), batches_of(context, others)))
    parts = [every for every, _ in both], [new for *_, new in (*both, *alone)]
    return {head: _groups(part, seed) for head, part in zip(HEADS, parts, strict=True)}


def who_took_enough(users: pl.Series, taken: pl.DataFrame, enough: int, seed: int) -> pl.Series:
    """
    As many of the distinct ``users`` as took ``enough`` items together, sorted, and half of them at least.

    What a shopper costs are the candidates, what one teaches are those that were taken. A shopper who takes fifty items
    in a month has taken most of them before: the order of everything is soon learned, that of new items is not.
    """
    each = taken.group_by("user_id").agg(pl.col("item_id").n_unique())
    counted = users.to_frame("user_id").join(each, on="user_id", how="left", maintain_order="left")
    order = np.random.default_rng(seed).permutation(len(users))
    first = np.searchsorted(np.cumsum(counted["item_id"].to_numpy()[order]), enough) + 1
    return users.gather(np.sort(order[: max(int(first), -(-len(users) // 2))]))


def sample_users(users: pl.Series, max_users: int, seed: int) -> pl.Series:
    """At most ``max_users`` of the distinct ids, sorted; the same ones for the same seed."""
    distinct = users.unique().sort()
    if len(distinct) <= max_users:
        return distinct
    chosen = np.random.default_rng(seed).choice(len(distinct), max_users, replace=False)
    return distinct.gather(np.sort(chosen))


def _labelled(batch: Batch, settings: RankerSettings, taken: pl.DataFrame, *, new_only: bool) -> Labelled:
    """Every candidate of a batch of learners."""
    shoppers, pool = batch.shoppers, pool_of(batch, settings, new_only)
    label = found(_keys(shoppers, taken), shoppers.key(pool.rows.shopper, pool.rows.item))[1]
    return Labelled(features(pool, batch), label, pool.rows.shopper)


def _keys(shoppers: Shoppers, taken: pl.DataFrame) -> Ints:
    shopper = positions(taken["user_id"], shoppers.ids)
    item = positions(taken["item_id"], shoppers.context.items)
    known = (shopper >= 0) & (item >= 0)
    return np.unique(shoppers.key(shopper[known], item[known]))


def _groups(parts: list[Labelled], seed: int) -> Groups | None:
    """A sample of the rows of all batches: drawn at last, since ranks within all candidates are features."""
    if not parts:
        return None
    # Shoppers are numbered batch by batch.
    before = np.cumsum([0, *(int(part.shopper.max(initial=-1)) + 1 for part in parts)])
    shopper = np.concatenate([part.shopper + first for part, first in zip(parts, before, strict=False)])
    label = np.concatenate([part.taken for part in parts])
    kept = _kept(shopper, label, seed)
    if not kept.any():
        return None
    rows = np.split(kept, np.cumsum([len(part.taken) for part in parts])[:-1])
    values = np.concatenate([part.values[some] for part, some in zip(parts, rows, strict=True)])
    return Groups(values, label[kept].astype(np.int64), np.unique(shopper[kept], return_counts=True)[1])


def _kept(shopper: Ints, label: Bools, seed: int) -> Bools:
    """Of shoppers who took a candidate: what they took, and a sample of what they did not."""
    size = int(shopper.max(initial=-1)) + 1
    hits = np.bincount(shopper[label], minlength=size)
    offered = np.bincount(shopper[~label], minlength=size)
    share = NEGATIVES / np.maximum(offered, 1)
    drawn = np.random.default_rng(seed).random(len(label)) < share[shopper]
    return (hits[shopper] > 0) & (label | drawn)
