"""
What the ranker learns from: candidates as of a cut, labelled by what was taken in the days behind it.

The base model saw nothing from the first cut on, so the candidates and features of a training group come about
exactly as those of a night do: by the same code, from a snapshot as of the cut.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl

from recsys_tasks.recommend.batch import Batch
from recsys_tasks.recommend.batches import in_order
from recsys_tasks.recommend.features import features
from recsys_tasks.recommend.log import Bools, Ints, positions
from recsys_tasks.recommend.night_model import OpenedNight
from recsys_tasks.recommend.pool import pool_of
from recsys_tasks.recommend.proposals import Proposals
from recsys_tasks.recommend.ranker import Groups
from recsys_tasks.recommend.shoppers import Shoppers, found
from recsys_tasks.settings import RankerSettings

# Candidates kept in a group beside those that were taken: enough to learn an order from, a quarter of the rows.
NEGATIVES = 120


def learners(opened: OpenedNight, taken: pl.DataFrame, max_users: int, seed: int) -> Batch:
    """
    At most ``max_users`` of those who took something, as the model sees them at its cut.

    ``taken`` has user_id and item_id: the target events of the days behind the cut.
    """
    users = sample_users(taken["user_id"], max_users, seed)
    return Batch(Shoppers(opened.sight.context, users), opened.sight)


def both_groups(
    batch: Batch, settings: RankerSettings, taken: pl.DataFrame, seed: int
) -> Iterator[Groups | None]:
    """The training groups of the two heads: of all candidates, and of those that are new to the shopper."""
    batch.sight.prepare()
    return in_order(
        lambda new_only: groups_of(batch, settings, taken, new_only=new_only, seed=seed), (False, True)
    )


def groups_of(
    batch: Batch, settings: RankerSettings, taken: pl.DataFrame, *, new_only: bool, seed: int
) -> Groups | None:
    """The training groups of a batch of learners; none where nobody took a candidate."""
    shoppers, pool = batch.shoppers, pool_of(batch, settings, new_only)
    label = found(_keys(shoppers, taken), shoppers.key(pool.rows.shopper, pool.rows.item))[1]
    kept = _kept(pool.rows, label, seed)
    if not kept.any():
        return None
    # Over the whole pool, since ranks are features; the sample is taken afterwards.
    values = features(pool, batch)
    sizes = np.unique(pool.rows.shopper[kept], return_counts=True)[1]
    return Groups(values[kept], label[kept].astype(np.int64), sizes)


def sample_users(users: pl.Series, max_users: int, seed: int) -> pl.Series:
    """At most ``max_users`` of the distinct ids, sorted; the same ones for the same seed."""
    distinct = users.unique().sort()
    if len(distinct) <= max_users:
        return distinct
    chosen = np.random.default_rng(seed).choice(len(distinct), max_users, replace=False)
    return distinct.gather(np.sort(chosen))


def _keys(shoppers: Shoppers, taken: pl.DataFrame) -> Ints:
    shopper = positions(taken["user_id"], shoppers.ids)
    item = positions(taken["item_id"], shoppers.context.items)
    known = (shopper >= 0) & (item >= 0)
    return np.unique(shoppers.key(shopper[known], item[known]))


def _kept(pool: Proposals, label: Bools, seed: int) -> Bools:
    """Of shoppers who took a candidate: what they took, and a sample of what they did not."""
    size = int(pool.shopper.max(initial=-1)) + 1
    hits = np.bincount(pool.shopper[label], minlength=size)
    offered = np.bincount(pool.shopper[~label], minlength=size)
    share = NEGATIVES / np.maximum(offered, 1)
    drawn = np.random.default_rng(seed).random(len(label)) < share[pool.shopper]
    return (hits[pool.shopper] > 0) & (label | drawn)
