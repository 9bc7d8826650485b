"""
Shoppers' histories as one packed array, and the decayed bags that are read from it.

CSR: the events of user ``u`` are the slice ``starts[u]:starts[u + 1]``, oldest first. An example is a user and an
instant, so every example of a user reads a prefix of the same slice and nothing is copied.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

US_PER_DAY = 86_400_000_000


@dataclass(frozen=True)
class Bags:
    """
    Weighted sets of items, a row an example.

    ``items[offsets[i]:offsets[i + 1]]`` are the codes of row ``i``, ``values[h]`` their weights under half-life
    ``h``. The weights of a row have unit length, so that its weighted sum is about as long as one item vector, however
    many events there are; a row without history is empty.
    """

    offsets: Ints
    items: Ints
    values: Floats

    @property
    def lengths(self) -> Ints:
        return np.diff(self.offsets)


@dataclass(frozen=True)
class Histories:
    """What each user did, as codes into a list of items."""

    starts: Ints
    items: Ints
    times: Ints
    weights: Floats

    @classmethod
    def collect(
        cls, events: pl.DataFrame, users: pl.Series, item_ids: pl.Series, weights: Mapping[str, float]
    ) -> "Histories":
        """
        Pack the events of ``users`` (a slice each, in their order).

        ``events`` stands in EVENT_ORDER. Events of other users, of types without a weight, or on items outside
        ``item_ids`` are left out.
        """
        known = (
            events.lazy()
            .select("user_id", "item_id", "event_type", "occurred_at")
            .join(_coded(users, "user_id"), on="user_id", how="inner", maintain_order="left")
            .join(_coded(item_ids, "item_id"), on="item_id", how="inner", maintain_order="left")
            .filter(pl.col("event_type").is_in(sorted(weights)))
            .select(
                pl.col("user_id_code"),
                pl.col("item_id_code"),
                pl.col("occurred_at").dt.epoch("us"),
                pl.col("event_type").replace_strict(dict(weights), return_dtype=pl.Float32).alias("weight"),
            )
            .sort("user_id_code", maintain_order=True)
            .collect()
        )
        counts = np.bincount(known["user_id_code"].to_numpy(), minlength=len(users))
        return cls(
            starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            items=known["item_id_code"].to_numpy(),
            times=known["occurred_at"].to_numpy(),
            weights=known["weight"].to_numpy(),
        )

    def ends(self, users: Ints, until: Ints) -> Ints:
        """Where the history of each (user code, instant in us) ends: the first event at or after the instant."""
        low, high = self.starts[users].copy(), self.starts[users + 1].copy()
        while (open_ := low < high).any():
            middle = (low + high) // 2
            earlier = open_ & (self.times[np.where(open_, middle, 0)] < until)
            low = np.where(earlier, middle + 1, low)
            high = np.where(open_ & ~earlier, middle, high)
        return np.asarray(low, dtype=np.int64)

    def bags(self, users: Ints, ends: Ints, until: Ints, half_lives: Sequence[float], limit: int) -> Bags:
        """The last ``limit`` events before ``ends``, decayed by their age in days at ``until``."""
        begins = np.maximum(self.starts[users], ends - limit)
        lengths = ends - begins
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        places = np.arange(offsets[-1]) + np.repeat(begins - offsets[:-1], lengths)
        ages = ((np.repeat(until, lengths) - self.times[places]) / US_PER_DAY).astype(np.float32)
        values = np.stack(
            [_unit_weights(self.weights[places], ages, half_life, offsets) for half_life in half_lives]
        )
        return Bags(offsets, self.items[places], values)


def microseconds(instant: datetime) -> int:
    """An instant as the integer that histories compare."""
    return int(pl.Series([instant]).dt.epoch("us")[0])


def _coded(ids: pl.Series, name: str) -> pl.LazyFrame:
    codes = pl.Series(f"{name}_code", np.arange(len(ids)), dtype=pl.Int64)
    return pl.LazyFrame({name: ids, f"{name}_code": codes})


def _unit_weights(weights: Floats, ages: Floats, half_life: float, offsets: Ints) -> Floats:
    """Weight times decay, each row of unit length; relative to its newest event, so that nothing underflows."""
    lengths = np.diff(offsets)
    full = np.flatnonzero(lengths)
    if len(full) == 0:
        return np.zeros(0, dtype=np.float32)
    youngest = np.repeat(np.minimum.reduceat(ages, offsets[full]), lengths[full])
    decayed = weights * np.exp2((youngest - ages) / np.float32(half_life))
    norms = np.sqrt(np.add.reduceat(decayed * decayed, offsets[full]))
    return np.asarray(decayed / np.repeat(norms, lengths[full]), dtype=np.float32)
