"""
The log as clean histories: every event once, a shopper's events together and in time.

All of an event goes into one 64-bit key (user | time | item | type): times count from the first one in the largest
unit that all of them share, so that a log of seconds needs 25 bits for a year. Sorting the keys sorts the events,
equal neighbours are duplicates, and the sorted users are the histories' offsets. A log that does not fit (microseconds
over decades, millions of items) has its times numbered, or is sorted by columns: slower, and the same rows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys_tasks.pairs.keys import (
    Codes,
    Ints,
    Keys,
    Kinds,
    Layout,
    chunks,
    first_of_run,
    offsets,
    ordered,
    width,
)

# A day, an hour, a minute, a second and a millisecond in microseconds.
UNITS = (86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000, 1_000)
GLANCE = 1_000


@dataclass(frozen=True)
class RawLog:
    """Events as they came, as codes; ``sizes`` are how many users, items and kinds there are."""

    user: Codes
    at: Ints
    item: Codes
    kind: Kinds
    sizes: tuple[int, int, int]


@dataclass(frozen=True)
class CleanLog:
    """
    Distinct events by user, time, item and kind; a user's lie at ``starts[user]:starts[user + 1]``.

    Of several kinds in one instant with one item the heaviest stands first. ``unit``: every time is a multiple of so
    many microseconds, counted from the log's first.
    """

    starts: Ints
    user: Codes
    item: Codes
    at: Ints
    kind: Kinds
    unit: int


def clean(log: RawLog) -> CleanLog:
    if len(log.at) == 0:
        return CleanLog(np.zeros(1, dtype=np.int64), log.user, log.item, log.at, log.kind, 1)
    unit, first = time_unit(log.at), int(log.at.min())
    layout = Layout(tuple(map(width, (log.sizes[0], (int(log.at.max()) - first) // unit, *log.sizes[1:]))))
    if layout.fits:
        keys = _distinct(layout, log, lambda at: (at - first) // unit)
        return _unpacked(keys, layout, log, unit, lambda times: times.astype(np.int64) * unit + first)
    known = np.unique(log.at)
    numbered = Layout(tuple(map(width, (log.sizes[0], len(known), *log.sizes[1:]))))
    if numbered.fits:
        keys = _distinct(numbered, log, lambda at: np.searchsorted(known, at))
        return _unpacked(keys, numbered, log, unit, lambda times: known[times.astype(np.int64)])
    return _by_columns(log, unit)


def time_unit(at: Ints) -> int:
    """The largest unit of which all times are whole multiples, counted from the first of them; a glance saves looks."""
    first = at.min()
    for unit in UNITS:
        if not ((at[:GLANCE] - first) % unit).any() and not any(
            ((at[some] - first) % unit).any() for some in chunks(len(at))
        ):
            return unit
    return 1


def _distinct(layout: Layout, log: RawLog, number: Callable[[Ints], Ints]) -> Keys:
    keys = np.empty(len(log.at), dtype=np.uint64)
    for some in chunks(len(keys)):
        keys[some] = layout.pack(log.user[some], number(log.at[some]), log.item[some], log.kind[some])
    keys = ordered(keys)
    return keys[first_of_run(keys)]


def _unpacked(
    keys: Keys, layout: Layout, log: RawLog, unit: int, instant: Callable[[Keys], Ints]
) -> CleanLog:
    user, item, kind = (np.empty(len(keys), dtype=codes.dtype) for codes in (log.user, log.item, log.kind))
    at = np.empty(len(keys), dtype=np.int64)
    for some in chunks(len(keys)):
        part = keys[some]
        user[some], item[some], kind[some] = (layout.part(part, place) for place in (0, 2, 3))
        at[some] = instant(layout.part(part, 1))
    return CleanLog(offsets(np.bincount(user, minlength=log.sizes[0])), user, item, at, kind, unit)


def _by_columns(log: RawLog, unit: int) -> CleanLog:
    columns = {"user": log.user, "at": log.at, "item": log.item, "kind": log.kind}
    rows = pl.DataFrame(columns).unique().sort(list(columns))
    user, at, item, kind = (rows[name].to_numpy() for name in columns)
    return CleanLog(offsets(np.bincount(user, minlength=log.sizes[0])), user, item, at, kind, unit)
