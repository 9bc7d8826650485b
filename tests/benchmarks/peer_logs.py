"""Small logs for the tests of peers: groups of shoppers with tastes, with and without times."""

import numpy as np
import polars as pl

from benchmarks.peers.base import Log
from benchmarks.peers.coded import DAY_US

CUT = 400 * DAY_US


def events(users: int = 60, items: int = 40, seed: int = 0) -> pl.DataFrame:
    """A year of events: each shopper buys mostly within one of four groups of items; oldest first."""
    rng = np.random.default_rng(seed)
    count = rng.integers(4, 16, users)
    user = np.repeat(np.arange(users), count)
    liked = (user % 4) * (items // 4) + rng.integers(0, items // 4, len(user))
    item = np.where(rng.random(len(user)) < 0.85, liked, rng.integers(0, items, len(user)))
    day = np.sort(rng.integers(1, 400, len(user)))
    order = rng.permutation(len(user))
    return pl.DataFrame(
        {
            "user_id": [f"u{place:03d}" for place in user[order]],
            "item_id": [f"i{place:03d}" for place in item[order]],
            "occurred_at": day * DAY_US,
        }
    )


def timed(frame: pl.DataFrame | None = None) -> Log:
    """With times; three items that are offered have no event, and one with events is no longer offered."""
    frame = events() if frame is None else frame
    offered = set(frame["item_id"]) - {"i005"} | {"i900", "i901", "i902"}
    return Log.of(frame, pl.Series(sorted(offered)), CUT)


def ordered() -> Log:
    """The same events where only their order is known."""
    frame = events().drop("occurred_at")
    return Log.of(frame, frame["item_id"].unique().sort())
