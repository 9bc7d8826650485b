"""
Negatives: items a pair's shopper has never touched.

They are drawn from what the log has seen, ~ count ** popularity_exponent (word2vec's smoothing, Mikolov et al.
2013), with a seeded generator; a draw the shopper has touched, or that the same anchor already has, is drawn again.
"""

from datetime import datetime

import dataframely as dy
import numpy as np
import polars as pl

from recsys_tasks.pairs.coding import CodedLog, Ints, code_log
from recsys_tasks.pairs.orders import NEGATIVE_ORDER
from recsys_tasks.pairs.touched import Bools, Touched
from recsys_tasks.schema import Negatives, Pairs
from recsys_tasks.settings import PairSettings

# A shopper who has touched nearly everything must not hold the night up: what still collides then is dropped.
ROUNDS = 30


def sample_negatives(
    pairs: dy.DataFrame[Pairs],
    events: pl.DataFrame,
    settings: PairSettings,
    seed: int,
    train_until: datetime,
) -> dy.DataFrame[Negatives]:
    """
    ``negatives_per_pair`` distinct negatives for every pair, in NEGATIVE_ORDER.

    Counts and what a shopper has touched come from all events before ``train_until``, of every type: an item that
    was seen and not taken is no certain negative either. The pairs must come from the same events.
    """
    log = code_log(events, until=train_until)
    if pairs.is_empty():
        return Negatives.create_empty()
    user, anchor = log.codes(pairs["user_id"], pairs["anchor_id"])
    in_order = np.lexsort((anchor, user))
    user = np.repeat(user[in_order], settings.negatives_per_pair)
    anchor = np.repeat(anchor[in_order], settings.negatives_per_pair)
    negative, good = _draw(user, anchor, log, settings.popularity_exponent, seed)
    drawn = pl.DataFrame({"user": user[good], "anchor": anchor[good], "negative": negative[good]})
    return Negatives.validate(_named(drawn.sort("user", "anchor", "negative"), log).sort(NEGATIVE_ORDER))


def _draw(user: Ints, anchor: Ints, log: CodedLog, exponent: float, seed: int) -> tuple[Ints, Bools]:
    """An item code for every row, and whether it is one to keep."""
    generator = np.random.default_rng(seed)
    shopper, item = log.touches()
    touched = Touched(shopper, item, len(log.items))
    share_I = np.cumsum(np.bincount(item, minlength=len(log.items)).astype(np.float64) ** exponent)
    anchor_key = _numbered(user, anchor) * len(log.items)
    negative, bad = np.zeros_like(user), np.ones(len(user), dtype=bool)
    for _ in range(ROUNDS):
        again = np.flatnonzero(bad)
        if len(again) == 0:
            break
        dice = generator.random(len(again)) * share_I[-1]
        # Rounding may lift the largest dice onto the sum itself.
        negative[again] = np.minimum(np.searchsorted(share_I, dice, side="right"), len(share_I) - 1)
        bad[again] = touched.contains(user[again], negative[again])
        bad |= _repeated(anchor_key + negative)
    return negative, ~bad


def _numbered(user: Ints, anchor: Ints) -> Ints:
    """A number per (user, anchor); the rows are sorted by both. Smaller than user * items + anchor, which overflows."""
    starts = np.ones(len(user), dtype=np.int64)
    starts[1:] = (user[1:] != user[:-1]) | (anchor[1:] != anchor[:-1])
    return np.cumsum(starts)


def _repeated(keys: Ints) -> Bools:
    """Rows whose key stood in an earlier row."""
    repeated = np.ones(len(keys), dtype=bool)
    repeated[np.unique(keys, return_index=True)[1]] = False
    return repeated


def _named(drawn: pl.DataFrame, log: CodedLog) -> pl.DataFrame:
    return pl.DataFrame(
        [
            log.user_ids(drawn["user"]),
            log.item_ids(drawn["anchor"], "anchor_id"),
            log.item_ids(drawn["negative"], "negative_id"),
        ]
    )
