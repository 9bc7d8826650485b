"""
What a peer is: something that learns from a log of events and answers with lists.

A ``Log`` is all a peer sees, so what lies behind the cut cannot leak into it. It says nothing of a shop:
users, items and, where the data has them, times. ``Peer.fit`` chooses its hyper-parameters inside the log
(``choose.py``) and one fit answers both kinds of list, "new to the shopper" and "all".
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys_tasks.errors import DataError

LISTS = {"user_id": pl.String, "rank": pl.Int32, "item_id": pl.String, "score": pl.Float32}


@dataclass(frozen=True)
class Log:
    """
    The E events before a cut, oldest first in a total order; a shopper's sequence is the order of the rows.

    users, items: (E,) String. ``items_offered``: sorted, what lists may hold (it need not have an event).
    times: (E,) Int64, microseconds, none falling; None where only the order is known.
    weights: (E,) Float64 above 0 (default: 1 an event).
    wanted: (E,) Boolean, events of the kind that is scored (default: all): validation scores these only,
    while every event of a shopper makes an item "seen".
    read_only: (E,) Boolean, events nobody may learn from (default: none). Their shoppers, who have no other events,
    are answered for by what the peer learned of others; see ``reads`` of a peer.
    as_of: the cut in microseconds, above every time (default: just after the last event).
    """

    users: pl.Series
    items: pl.Series
    items_offered: pl.Series
    times: pl.Series | None = None
    weights: pl.Series | None = None
    wanted: pl.Series | None = None
    as_of: int | None = None
    read_only: pl.Series | None = None

    def __post_init__(self) -> None:
        """Refuse what would silently spoil a fit; DataError names the field."""
        size = len(self.users)
        for name in ("items", "times", "weights", "wanted", "read_only"):
            column = getattr(self, name)
            if column is not None and len(column) != size:
                raise DataError(
                    f"Log.{name} has {len(column)} rows, Log.users has {size}; give one per event"
                )
        if not self.items_offered.is_sorted() or self.items_offered.n_unique() < len(self.items_offered):
            raise DataError("Log.items_offered must be sorted and distinct")
        if self.times is not None and size:
            if not self.times.is_sorted():
                raise DataError("Log.times must not fall; sort the events, oldest first")
            if self.as_of is not None and int(self.times[-1]) >= self.as_of:
                raise DataError(f"Log.times end at {self.times[-1]}, at or after as_of {self.as_of}")

    @classmethod
    def of(cls, events: pl.DataFrame, items_offered: pl.Series, as_of: int | None = None) -> "Log":
        """From a frame with user_id, item_id and, where known, occurred_at, weight, wanted; already in order."""
        column = {name: events[name] for name in events.columns}
        times = column.get("occurred_at")
        return cls(
            users=column["user_id"],
            items=column["item_id"],
            items_offered=items_offered,
            times=None if times is None else times.to_physical().cast(pl.Int64),
            weights=column.get("weight"),
            wanted=column.get("wanted"),
            as_of=as_of,
        )

    def __len__(self) -> int:
        return len(self.users)

    @property
    def cut(self) -> int | None:
        """The instant lists are made at, in microseconds; none where there are no times."""
        if self.times is None or self.as_of is not None:
            return self.as_of
        return int(self.times[-1]) + 1 if len(self) else 0

    def weight(self) -> NDArray[np.float64]:
        """(E,) event weights, 1 where none were given."""
        if self.weights is None:
            return np.ones(len(self))
        return self.weights.cast(pl.Float64).to_numpy()

    def learned(self) -> "Log":
        """The events that may be learned from."""
        return self if self.read_only is None else self.rows(~self.read_only.to_numpy(), self.as_of)

    def only_read(self) -> "Log":
        """The events that may not."""
        keep = np.zeros(len(self), bool) if self.read_only is None else self.read_only.to_numpy()
        return self.rows(keep, self.as_of)

    def rows(self, keep: NDArray[np.bool_], as_of: int | None = None) -> "Log":
        """The kept events only, with the same offer."""
        mask = pl.Series(keep)

        def part(column: pl.Series | None) -> pl.Series | None:
            return None if column is None else column.filter(mask)

        return Log(
            self.users.filter(mask),
            self.items.filter(mask),
            self.items_offered,
            part(self.times),
            part(self.weights),
            part(self.wanted),
            as_of,
            part(self.read_only),
        )


class Peer(Protocol):
    """
    A recommender to compare with. Deterministic for its seed; ``chosen`` tells which hyper-parameters won.

    ``top`` gives ``LISTS``: for each user exactly k rows (fewer only where fewer items may be offered), ranks
    from 1, by user in the order asked, then rank; no item twice, offered items only, with ``new_only`` none
    that the log holds for the user. What a peer has no opinion on is filled from popularity, score null.
    """

    @property
    def name(self) -> str: ...

    @property
    def chosen(self) -> dict[str, Any]: ...

    @property
    def reads(self) -> bool:
        """Whether it can answer for shoppers it only read (``Log.read_only``)."""

    def fit(self, log: Log) -> None: ...

    def top(self, users: pl.Series, k: int, new_only: bool) -> pl.DataFrame: ...


Maker = Callable[[], Peer]
