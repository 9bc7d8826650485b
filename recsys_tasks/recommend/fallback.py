"""
The ladder below a shopper's own model: what fills a list that is empty or short.

Rungs: own model -> the shopper's segment -> popular over the days that tell most in this shop (``recommend.ladder``) ->
popular in 7 days -> in 28 days -> ever -> the rest of the catalogue. One event is enough for the first two (its text
says what the shopper likes, before any count does): they are candidate sources, so a row's source tells its rung. A
shopper without any starts at the third.
"""

import numpy as np

from recsys_tasks.recommend.candidates import SOURCES, popular
from recsys_tasks.recommend.model import Ranked
from recsys_tasks.recommend.proposals import Proposals
from recsys_tasks.recommend.shoppers import Shoppers


def guarantee(ranked: Ranked, shoppers: Shoppers, k: int, new_only: bool) -> Ranked:
    """``k`` rows for every shopper, where the catalogue has that many: own rows first, popular ones behind."""
    own = ranked.rows
    have = np.bincount(own.shopper, minlength=len(shoppers.ids))
    listed = np.sort(shoppers.key(own.shopper, own.item))
    refused = np.union1d(listed, shoppers.seen) if new_only else listed
    extra = popular.fill(shoppers, np.maximum(k - have, 0), refused, shoppers.context.ladder)
    if not len(extra):
        return ranked
    # Fillers stand behind the model's own rows: their scores start one below the lowest of them.
    floor = np.ones(len(have), np.float32)
    np.minimum.at(floor, own.shopper, own.score)
    shopper = np.concatenate([own.shopper, extra.shopper])
    order = np.argsort(shopper, kind="stable")
    rows = Proposals(
        shopper,
        np.concatenate([own.item, extra.item]),
        np.concatenate([own.score, floor[extra.shopper] - 1 + extra.score]),
    )
    fillers = np.full(len(extra), SOURCES.index(popular.NAME), np.int8)
    return Ranked(rows.take(order), np.concatenate([ranked.source, fillers])[order])
