"""
The log as whole numbers.

Codes follow the sorted ids, so comparing codes compares ids: an order by codes is the same total order on every
machine, and does not remember in which order rows arrived. Codes mean nothing outside the log they come from.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_tasks.pairs.clean import CleanLog, RawLog, clean
from recsys_tasks.pairs.keys import Codes, Ints, Kinds

Floats = npt.NDArray[np.float64]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
# Kinds that a byte can number.
SMALL = 256


@dataclass(frozen=True)
class CodedLog:
    """
    Events with codes for ids, in the input's order.

    ``users`` and ``items`` are the ids, sorted: code -> id. ``user``, ``item``, ``at`` (microseconds since 1970) and
    ``kind`` are the events' columns. ``kinds`` are the event types, heaviest first, and ``weights`` what they weigh;
    types that models do not learn from stand last, with NaN.
    """

    users: pl.Series
    items: pl.Series
    kinds: tuple[str, ...]
    weights: Floats
    user: Codes
    item: Codes
    at: Ints
    kind: Kinds

    @cached_property
    def rows(self) -> pl.DataFrame:
        """user, item, at, kind, and weight: null for a type that models do not learn from."""
        weight = pl.Series("weight", self.weights).fill_nan(None).gather(pl.Series(self.kind))
        return pl.DataFrame(
            {"user": self.user, "item": self.item, "at": self.at, "kind": self.kind, "weight": weight}
        )

    @cached_property
    def clean(self) -> CleanLog:
        """Every event once, by user and time."""
        sizes = (len(self.users), len(self.items), len(self.kinds))
        return clean(RawLog(self.user, self.at, self.item, self.kind, sizes))

    @property
    def learned_kinds(self) -> int:
        """Kinds below this one are learned from."""
        return int(np.count_nonzero(~np.isnan(self.weights)))

    def user_ids(self, codes: pl.Series) -> pl.Series:
        return self.users.gather(codes).alias("user_id")

    def item_ids(self, codes: pl.Series, name: str = "item_id") -> pl.Series:
        return self.items.gather(codes).alias(name)

    def codes(self, users: pl.Series, items: pl.Series) -> tuple[Ints, Ints]:
        """The way back, for two columns of ids; -1 for an id the log does not hold."""
        return _known_codes(users, self.users), _known_codes(items, self.items)

    def touches(self) -> tuple[Ints, Ints]:
        """User and item of every row."""
        return self.user.astype(np.int64), self.item.astype(np.int64)


def code_log(
    events: pl.DataFrame | pl.LazyFrame,
    weights: Mapping[str, float] | None = None,
    until: datetime | None = None,
) -> CodedLog:
    """
    Code the events before ``until`` (all, where not given); without ``weights`` every type weighs 1.

    Of a log that is read lazily one column is in memory at a time: ids take several times the room of their codes.
    """
    known = events.lazy()
    if until is not None and not known.select((pl.col("occurred_at") < until).all()).collect().item():
        known = known.filter(pl.col("occurred_at") < until)
    users, user = _coded(_column(known, "user_id"))
    items, item = _coded(_column(known, "item_id"))
    kinds, kind = _coded(_column(known, "event_type"))
    weighed = {name: 1.0 if weights is None else weights.get(name, np.nan) for name in kinds}
    heaviest_first = sorted(weighed, key=lambda name: (np.isnan(weighed[name]), -weighed[name], name))
    place: Kinds = np.array([heaviest_first.index(name) for name in kinds], dtype=np.uint32)
    if len(place) <= SMALL:
        place = place.astype(np.uint8)
    return CodedLog(
        users,
        items,
        tuple(heaviest_first),
        np.array([weighed[name] for name in heaviest_first], dtype=np.float64),
        user,
        item,
        micros_of(_column(known, "occurred_at")),
        place[kind],
    )


def _column(events: pl.LazyFrame, name: str) -> pl.Series:
    return events.select(name).collect().to_series()


def _coded(ids: pl.Series) -> tuple[pl.Series, Codes]:
    """The distinct ids in order, and each row's place among them; every string is looked at once."""
    number = ids.cast(pl.Categorical(pl.Categories.random())).to_physical().to_numpy()
    row = np.full(int(number.max(initial=0)) + 1, -1)
    row[number] = np.arange(len(number))
    used = np.flatnonzero(row >= 0)
    names = ids.gather(row[used])
    in_order = names.arg_sort().to_numpy()
    place = np.zeros(len(row), dtype=np.uint32)
    place[used[in_order]] = np.arange(len(used), dtype=np.uint32)
    return names.gather(in_order), place[number]


def _known_codes(ids: pl.Series, known: pl.Series) -> Ints:
    codes = ids.cast(pl.Enum(known), strict=False).to_physical()
    return codes.cast(pl.Int64).fill_null(-1).to_numpy()


def micros(instant: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (instant - EPOCH) // MICROSECOND


def micros_of(moments: pl.Series) -> Ints:
    """The same for a column."""
    return moments.dt.epoch("us").to_numpy()


def instants(micros: pl.Series, name: str) -> pl.Series:
    """Microseconds since 1970 as a column of instants."""
    return micros.cast(pl.Int64).cast(pl.Datetime("us", "UTC")).alias(name)


def mix(*numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """A 64-bit hash of each row of numbers (splitmix64's finaliser), the same on every machine."""
    state = np.zeros(len(numbers[0]), dtype=np.uint64)
    for column in numbers:
        state = state * np.uint64(0x9E3779B97F4A7C15) + column.astype(np.uint64)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state = state ^ (state >> np.uint64(31))
    return state
