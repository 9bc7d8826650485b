"""
The log as whole numbers.

Codes follow the sorted ids, so comparing codes compares ids: an order by codes is the same total order on every
machine, and does not remember in which order rows arrived. Codes mean nothing outside the log they come from.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

Ints = npt.NDArray[np.int64]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class CodedLog:
    """
    Events with codes for ids.

    ``rows`` has user and item (codes, UInt32), at (microseconds since 1970, Int64), event_type and weight (Float64;
    null for a type that models do not learn from); its order is the input's. ``users`` and ``items`` are the ids,
    sorted: code -> id.
    """

    users: pl.Series
    items: pl.Series
    rows: pl.DataFrame

    def user_ids(self, codes: pl.Series) -> pl.Series:
        return self.users.gather(codes).alias("user_id")

    def item_ids(self, codes: pl.Series, name: str = "item_id") -> pl.Series:
        return self.items.gather(codes).alias(name)

    def codes(self, users: pl.Series, items: pl.Series) -> tuple[Ints, Ints]:
        """The way back, for two columns of ids; -1 for an id the log does not hold."""
        return _ints(_codes(users, self.users)), _ints(_codes(items, self.items))

    def touches(self) -> tuple[Ints, Ints]:
        """User and item of every row."""
        return _ints(self.rows["user"]), _ints(self.rows["item"])


def code_log(
    events: pl.DataFrame, weights: Mapping[str, float] | None = None, until: datetime | None = None
) -> CodedLog:
    """Code the events before ``until`` (all, where not given); without ``weights`` every type weighs 1."""
    if weights is None:
        weights = dict.fromkeys(events["event_type"].unique().sort(), 1.0)
    known = events if until is None else events.filter(pl.col("occurred_at") < until)
    users, items = (known[name].unique().sort() for name in ("user_id", "item_id"))
    rows = known.select(
        user=_codes(known["user_id"], users),
        item=_codes(known["item_id"], items),
        at=pl.col("occurred_at").dt.epoch("us"),
        event_type="event_type",
        weight=pl.col("event_type").replace_strict(dict(weights), default=None, return_dtype=pl.Float64),
    )
    return CodedLog(users, items, rows)


def _codes(ids: pl.Series, known: pl.Series) -> pl.Series:
    return ids.cast(pl.Enum(known), strict=False).to_physical().cast(pl.UInt32)


def _ints(codes: pl.Series) -> Ints:
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
