"""
Positive pairs from co-engagement.

A shopper who takes a tent and, the same day, a sleeping bag tells us that the two belong near each other, as words of
one sentence do (item2vec; Barkan and Koenigstein 2016, arXiv 1603.04259, section 3). A weekly shop holds dozens of
items, so joining a basket with itself would explode: every event is paired with its next few followers only. Rows of
one instant (a basket has one time) stand in a hashed order: by item id, neighbours would be items with similar ids; by
arrival, two loads of one log would give two models.

The pairs of a few thousand shoppers are made at a time, as packed keys (pairs/keys.py).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import dataframely as dy
import numpy as np
import polars as pl

from recsys_tasks.pairs.clean import CleanLog
from recsys_tasks.pairs.coding import CodedLog, code_log, instants, micros
from recsys_tasks.pairs.keys import Bools, Codes, Ints, Kinds, Layout, chunks, first_of_run, ordered, width
from recsys_tasks.pairs.sequence import in_sequence
from recsys_tasks.schema import Pairs
from recsys_tasks.settings import PairSettings

MICROS_PER_MINUTE = 60 * 10**6
MICROS_PER_DAY = 24 * 60 * MICROS_PER_MINUTE
# Candidates that are worked on at a time, where no single shopper has more.
CANDIDATES = 1 << 19
MOST_CODES = 1 << 32


@dataclass(frozen=True)
class CodedPairs:
    """Pairs as codes; ``at`` is when the positive happened and ``kind`` what it was."""

    user: Codes
    anchor: Codes
    positive: Codes
    at: Ints
    kind: Kinds

    def __len__(self) -> int:
        return len(self.user)

    def __getitem__(self, rows: Codes | Ints | Bools) -> "CodedPairs":
        return CodedPairs(*(column[rows] for column in vars(self).values()))

    @classmethod
    def joined(cls, parts: list["CodedPairs"]) -> "CodedPairs":
        names = cls.__dataclass_fields__
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def positive_pairs(
    events: pl.DataFrame, settings: PairSettings, weights: Mapping[str, float], train_until: datetime
) -> dy.DataFrame[Pairs]:
    """
    Pairs (anchor, item the same shopper took next, within the window), in PAIR_ORDER.

    Only events before ``train_until``, and at most ``history_days`` older, take part; a pair happens when its later
    event does. One row per shopper, anchor and positive: the newest. The window decides, and where
    ``session_gap_minutes`` is set a session as well: a longer gap between two of a shopper's events ends one. Caps keep
    the newest: per shopper, then per anchor, then overall.
    """
    return named_pairs(code_log(events, weights, train_until), settings, train_until)


def named_pairs(log: CodedLog, settings: PairSettings, train_until: datetime) -> dy.DataFrame[Pairs]:
    """The same for a log that is coded already, up to ``train_until``."""
    pairs = coded_pairs(log, settings, train_until)
    pairs = pairs[np.argsort(pairs.at, kind="stable")]
    return Pairs.validate(_named(pairs, log, settings.half_life_days, train_until))


def coded_pairs(log: CodedLog, settings: PairSettings, train_until: datetime) -> CodedPairs:
    """The pairs by user, anchor and positive."""
    found = follow_ups(log, settings, train_until)
    return _capped(found, log.clean.unit, len(log.items), settings)


def follow_ups(log: CodedLog, settings: PairSettings, train_until: datetime) -> CodedPairs:
    """The same before the caps per anchor and overall."""
    rows = in_sequence(log, micros(train_until - timedelta(days=settings.history_days)))
    return CodedPairs.joined(list(_by_shoppers(rows, len(log.items), settings)))


def _by_shoppers(rows: CleanLog, n_items: int, settings: PairSettings) -> Iterator[CodedPairs]:
    """The pairs of a few shoppers at a time, no more than a key can number."""
    counts = np.diff(rows.starts)
    session = _sessions(rows, settings)
    spare = 64 - 2 * width(n_items)
    per_time = max(1, min(CANDIDATES, 1 << max(spare, 0)) // settings.followers)
    first = 0
    while first < len(counts):
        last = max(
            first + 1, int(np.searchsorted(rows.starts, rows.starts[first] + per_time, side="right")) - 1
        )
        while last - first > 1 and not _layout(counts[first:last], n_items, settings.followers).fits:
            last = first + (last - first) // 2
        some = slice(int(rows.starts[first]), int(rows.starts[last]))
        yield _pairs_of(rows, some, None if session is None else session[some], n_items, settings)
        first = last
    if len(counts) == 0:
        yield CodedPairs(rows.user, rows.item, rows.item, rows.at, rows.kind)


def _layout(counts: Ints, n_items: int, followers: int) -> Layout:
    """Shopper, anchor, positive, and the candidate's number within the shopper, newest first."""
    return Layout(
        (width(len(counts)), width(n_items), width(n_items), width(int(counts.max(initial=0)) * followers))
    )


def _sessions(rows: CleanLog, settings: PairSettings) -> Ints | None:
    """The number of each row's session; it grows by one wherever a gap is too long."""
    if settings.session_gap_minutes is None:
        return None
    ends = np.diff(rows.at, prepend=rows.at[:1]) > settings.session_gap_minutes * MICROS_PER_MINUTE
    return np.cumsum(ends)


def _pairs_of(
    rows: CleanLog, some: slice, session: Ints | None, n_items: int, settings: PairSettings
) -> CodedPairs:
    user, item, at = rows.user[some], rows.item[some], rows.at[some]
    window = settings.window_minutes * MICROS_PER_MINUTE
    earlier, later = _close_rows(user, at, item, session, window, settings.followers)
    kept = _newest_once(user, item, earlier, later, n_items, settings)
    late = later[kept]
    return CodedPairs(user[late], item[earlier[kept]], item[late], at[late], rows.kind[some][late])


def _close_rows(
    user: Codes, at: Ints, item: Codes, session: Ints | None, window: int, followers: int
) -> tuple[Ints, Ints]:
    """Row numbers (earlier, later) of pairs; shoppers in order, then later rows first, then the closer of two."""
    close_NF = np.zeros((len(user), followers), dtype=bool)
    for step in range(1, min(followers, len(user) - 1) + 1):
        # Taking one item twice is no evidence that it resembles itself.
        close = (user[step:] == user[:-step]) & (item[step:] != item[:-step])
        close &= at[step:] - at[:-step] <= window
        if session is not None:
            close &= session[step:] == session[:-step]
        close_NF[step:, step - 1] = close
    cell = np.flatnonzero(close_NF[::-1])
    later = len(user) - 1 - cell // followers
    return later - (cell % followers + 1), later


def _newest_once(
    user: Codes, item: Codes, earlier: Ints, later: Ints, n_items: int, settings: PairSettings
) -> Ints:
    """
    The candidates that stay, by shopper, anchor and positive: the first of equal ones, and the shopper's first few.

    Candidates of a shopper stand together, newest first; of the shoppers, the last stands first.
    """
    if len(later) == 0:
        return later
    shopper = (user[later] - user[0]).astype(np.int64)
    counts = np.bincount(shopper)
    starts = len(later) - np.cumsum(counts)
    layout = _layout(counts, n_items, 1)
    number = np.arange(len(later)) - starts[shopper]
    if layout.fits:
        keys = ordered(layout.pack(shopper, item[earlier], item[later], number))
        keys = keys[first_of_run(layout.part(keys, 0, 3))]
        kept = starts[layout.part(keys, 0).astype(np.int64)] + layout.part(keys, 3).astype(np.int64)
    else:
        in_order = np.lexsort((number, item[later], item[earlier], shopper))
        three = (shopper[in_order], item[earlier][in_order], item[later][in_order])
        kept = in_order[np.any([first_of_run(column) for column in three], axis=0)]
    return kept[_rank(kept, shopper, starts) < settings.max_per_user]


def _rank(kept: Ints, shopper: Ints, starts: Ints) -> Ints:
    """How many of the same shopper's kept candidates stand before each."""
    stays = np.zeros(len(shopper) + 1, dtype=np.int64)
    stays[kept + 1] = 1
    before = np.cumsum(stays)
    return before[kept] - before[starts[shopper[kept]]]


def _capped(pairs: CodedPairs, unit: int, n_items: int, settings: PairSettings) -> CodedPairs:
    """The newest pairs of each anchor, and of those the newest of all; ties by user, anchor, positive."""
    newest = _newest_first(pairs.at, unit)
    stays = ~_beyond(pairs.anchor[newest], n_items, settings.max_per_item)
    kept: Codes | Ints = newest[stays][: settings.max_pairs]
    kept.sort()
    return pairs[kept]


def _beyond(anchor: Codes, n_items: int, limit: int) -> Bools:
    """Rows before which ``limit`` rows of their anchor stand."""
    layout = Layout((width(n_items), width(len(anchor))))
    crowded = np.bincount(anchor, minlength=n_items) > limit
    keys = ordered(layout.numbered(anchor)[crowded[anchor]])
    beyond = np.zeros(len(anchor), dtype=bool)
    for some in chunks(max(0, len(keys) - limit)):
        late = keys[some.start + limit : some.stop + limit]
        again = late[layout.part(late, 0) == layout.part(keys[some], 0)]
        beyond[layout.part(again, 1).astype(np.int64)] = True
    return beyond


def _newest_first(at: Ints, unit: int) -> Codes | Ints:
    """Row numbers, newest first; equal times in the rows' order."""
    if len(at) == 0:
        return np.zeros(0, dtype=np.int64)
    newest = at.max()
    layout = Layout((width(int((newest - at.min()) // unit)), width(len(at))))
    if not layout.fits:
        return np.argsort(newest - at, kind="stable")
    keys = ordered(layout.numbered(at, lambda part: (newest - part) // unit))
    rows: Codes | Ints = np.empty(len(keys), dtype=np.int64)
    if len(keys) <= MOST_CODES:
        rows = np.empty(len(keys), dtype=np.uint32)
    for some in chunks(len(keys)):
        rows[some] = layout.part(keys[some], 1)
    return rows


def _named(pairs: CodedPairs, log: CodedLog, half_life_days: float, train_until: datetime) -> pl.DataFrame:
    age_days = (micros(train_until) - pairs.at) / MICROS_PER_DAY
    weight = log.weights[pairs.kind] * np.exp2(-age_days / half_life_days)
    # An old pair under a short half-life must not round to no weight at all.
    weight = np.maximum(weight.astype(np.float32), np.finfo(np.float32).tiny)
    return pl.DataFrame(
        [
            log.user_ids(pl.Series(pairs.user)),
            log.item_ids(pl.Series(pairs.anchor), "anchor_id"),
            log.item_ids(pl.Series(pairs.positive), "positive_id"),
            pl.Series("weight", weight, dtype=pl.Float32),
            instants(pl.Series(pairs.at), "occurred_at"),
        ]
    )
