"""The events that pairs are made of, in the order in which a shopper's neighbours are looked for."""

import numpy as np
import polars as pl

from recsys_tasks.pairs.clean import CleanLog
from recsys_tasks.pairs.coding import CodedLog, mix
from recsys_tasks.pairs.keys import KEY_BITS, Bools, Codes, Ints, first_of_run, offsets, width


def in_sequence(log: CodedLog, since: int) -> CleanLog:
    """
    Each shopper's events from ``since`` on that models learn from: in time, one row per instant and item (the one that
    weighs most), equal times by a hash.

    The hash is that of the codes the log would have had if it began at ``since``, so that older events change nothing.
    """
    rows = log.clean
    recent = rows.at >= since
    kept = recent & (rows.kind < log.learned_kinds) & _first_with_item(rows)
    users, items = (_places(codes, recent) for codes in (rows.user, rows.item))
    user, item, at, kind = rows.user, rows.item, rows.at, rows.kind
    if not kept.all():
        user, item, at, kind = user[kept], item[kept], at[kept], kind[kept]
    tied = _tied(user, at)
    if len(tied):
        place = np.arange(len(user))
        place[tied] = tied[_hashed(user[tied], at[tied], item[tied], users, items)]
        item, kind = item[place], kind[place]
    counts = np.bincount(user, minlength=len(log.users))
    return CleanLog(offsets(counts), user, item, at, kind, rows.unit)


def _first_with_item(rows: CleanLog) -> Bools:
    """The first row of each user, instant and item."""
    return first_of_run(rows.item) | first_of_run(rows.at) | first_of_run(rows.user)


def _places(codes: Codes, asked: Bools) -> Ints:
    """The number of each code among those that the rows asked for hold."""
    held = np.zeros(int(codes.max(initial=0)) + 1, dtype=bool)
    held[codes if asked.all() else codes[asked]] = True
    return np.cumsum(held) - 1


def _tied(user: Codes, at: Ints) -> Ints:
    """Rows that share user and time with a neighbour."""
    same = ~(first_of_run(user) | first_of_run(at))
    tied = same.copy()
    tied[:-1] |= same[1:]
    return np.flatnonzero(tied)


def _hashed(user: Codes, at: Ints, item: Codes, users: Ints, items: Ints) -> Ints:
    """The rows by user, time, hash, item. They come by user and time, so the number of the instant is enough."""
    instant = np.cumsum(first_of_run(user) | first_of_run(at)) - 1
    hashed = mix(users[user], at, items[item])
    bits = max(1, width(int(instant[-1])))
    keys = (instant.astype(np.uint64) << np.uint64(KEY_BITS - bits)) | (hashed >> np.uint64(bits))
    in_order = pl.Series(keys).arg_sort().to_numpy().astype(np.int64)
    # Few bits of the hash are lost, so equal keys are rare; where there are some, nothing is left to chance.
    return in_order if first_of_run(keys[in_order]).all() else np.lexsort((item, hashed, instant))
