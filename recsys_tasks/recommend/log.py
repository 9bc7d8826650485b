"""The events of a snapshot as flat arrays, shopper by shopper: what candidates and features read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys_tasks.lake.snapshot import Snapshot
from recsys_tasks.model.popularity import DAY_US, age_us, window_us

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Log:
    """
    E events of U shoppers; a shopper's rows stand together, oldest first, in the snapshot's total order.

    ``item`` is the position in the snapshot's catalogue, -1 where the catalogue lacks the item. ``age`` is in days
    before as_of, ``age_us`` the same to the microsecond. ``weight`` is 0 for event types that models do not learn from.
    """

    users: pl.Series
    start: Ints
    user: Ints
    item: Ints
    age: Floats
    age_us: Ints
    weight: Floats
    value: Floats
    is_target: Bools
    event_type: pl.Series

    def within(self, days: float) -> Bools:
        """Which events belong to the last ``days`` days."""
        recent: Bools = self.age_us <= window_us(days)
        return recent

    def rows_of(self, users: Ints) -> tuple[Ints, Ints]:
        """(place in ``users``, row) of every event of the given shoppers; -1 stands for one without events."""
        # One more bound, so that a log without shoppers can be asked for the first of them.
        start, known = np.append(self.start, self.start[-1]), np.where(users < 0, 0, users)
        lengths = np.where(users < 0, 0, start[known + 1] - start[known])
        places = np.repeat(np.arange(len(users)), lengths)
        offsets = np.arange(len(places)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return places, np.repeat(self.start[known], lengths) + offsets


def read_log(snapshot: Snapshot, weights: Mapping[str, float], target_events: Sequence[str]) -> Log:
    """Flatten a snapshot; item and shopper become positions in sorted id lists."""
    users = snapshot.events.get_column("user_id").unique().sort()
    flat = (
        snapshot.events.lazy()
        .join(_places(users, "user_id", "user"), on="user_id", how="left", maintain_order="left")
        .join(
            _places(snapshot.items["item_id"], "item_id", "item"),
            on="item_id",
            how="left",
            maintain_order="left",
        )
        .select(
            "event_type",
            user=pl.col("user").cast(pl.Int64),
            item=pl.col("item").cast(pl.Int64).fill_null(-1),
            age_us=age_us(snapshot.as_of),
            weight=pl.col("event_type").replace_strict(dict(weights), default=0.0, return_dtype=pl.Float32),
            value=pl.col("value").cast(pl.Float32).fill_null(float("nan")),
            is_target=pl.col("event_type").is_in(list(target_events)),
        )
        .sort("user", maintain_order=True)
        .collect()
    )
    user = flat["user"].to_numpy()
    return Log(
        users=users,
        start=np.searchsorted(user, np.arange(len(users) + 1)).astype(np.int64),
        user=user,
        item=flat["item"].to_numpy(),
        age=(flat["age_us"] / DAY_US).cast(pl.Float32).to_numpy(),
        age_us=flat["age_us"].to_numpy(),
        weight=flat["weight"].to_numpy(),
        value=flat["value"].to_numpy(),
        is_target=flat["is_target"].to_numpy(),
        event_type=flat["event_type"],
    )


def _places(ids: pl.Series, name: str, place: str) -> pl.LazyFrame:
    return pl.LazyFrame({name: ids}).with_row_index(place)


def positions(ids: pl.Series, known: pl.Series) -> Ints:
    """Where each id stands in the sorted ``known``; -1 where it does not."""
    wanted = pl.LazyFrame({"id": ids})
    found = wanted.join(_places(known, "id", "place"), on="id", how="left", maintain_order="left")
    return found.select(pl.col("place").cast(pl.Int64).fill_null(-1)).collect()["place"].to_numpy()
