"""
How much of the past a warm start sees again (experience replay: Rolnick et al. 2019, arXiv 1811.11682).

Each night trains on the whole log before its cut, so an encoder that goes on from an earlier night's replays what
that one has learned from, by its number: the longer the log, the less is new. A limit leaves some of the old out.
"""

from dataclasses import replace
from datetime import datetime

import numpy as np
import polars as pl

from recsys_tasks.training.encoder_data import Source

# A stream of its own beside the draw of the examples.
STREAM = 1


def limited(source: Source, cut: datetime, seen_until: datetime, share: float, seed: int) -> Source:
    """
    Examples and pairs before ``cut`` of which at most ``share`` each ended before ``seen_until``; the others all stay.

    Which of the older ones stay is drawn uniformly, the same for the same seed. With nothing later nothing is left,
    unless the share is 1. The share is that of the rows; one without a text that may be learned from teaches nothing.
    """
    # What reaches behind the cut is not learned from: counted as new, it would let more of the old in.
    known = before(source, cut)
    examples, pairs = known.examples, known.pairs
    return replace(
        source,
        examples=_limited(examples, examples["positives_until"] < seen_until, share, seed),
        pairs=_limited(pairs, pairs["occurred_at"] < seen_until, share, seed),
    )


def before(source: Source, cut: datetime) -> Source:
    """The examples and pairs that end before ``cut``."""
    return replace(
        source,
        examples=source.examples.filter(pl.col("positives_until") < cut),
        pairs=source.pairs.filter(pl.col("occurred_at") < cut),
    )


def _limited(rows: pl.DataFrame, seen: pl.Series, share: float, seed: int) -> pl.DataFrame:
    is_old = seen.to_numpy()
    old, new = np.flatnonzero(is_old), np.count_nonzero(~is_old)
    # old / (old + new) <= share; rounded first, as 0.6 / (1 - 0.6) is a hair below 1.5.
    most = len(old) if share == 1 else int(round(share * new / (1 - share), 6))
    if most >= len(old):
        return rows
    stays = ~is_old
    stays[np.random.default_rng([seed, STREAM]).permutation(old)[:most]] = True
    return rows.filter(pl.Series(stays))
