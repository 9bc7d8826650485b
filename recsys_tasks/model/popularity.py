"""
How many shoppers took an item lately, as of an instant.

Popularity is an input of the score, not a frozen prior: "this sells now" is what a bounded similarity cannot say,
so every use names the instant it is counted at.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float32]


def popularity(
    events: pl.DataFrame, as_of: datetime, days: int, event_types: Collection[str] | None = None
) -> pl.DataFrame:
    """
    ``item_id, buyers, events`` of the ``days`` before ``as_of``, best first, ties by item_id.

    ``buyers`` counts a shopper once an item; items nobody took are left out. ``event_types`` none: every type.
    """
    return (
        _within(events, as_of, days, event_types)
        .group_by("item_id")
        .agg(pl.col("user_id").n_unique().alias("buyers"), pl.len().alias("events"))
        .sort("buyers", "item_id", descending=[True, False])
    )


def popularity_matrix(
    events: pl.DataFrame,
    as_of: datetime,
    item_ids: pl.Series,
    windows: Sequence[int],
    event_types: Collection[str] | None = None,
) -> Floats:
    """``log1p(buyers)`` before ``as_of``: a row an item of ``item_ids``, a column a window in days."""
    matrix = np.zeros((len(item_ids), len(windows)), dtype=np.float32)
    wanted = pl.DataFrame({"item_id": item_ids})
    for column, days in enumerate(windows):
        counted = popularity(events, as_of, days, event_types)
        buyers = wanted.join(counted, on="item_id", how="left", maintain_order="left")["buyers"]
        matrix[:, column] = np.log1p(buyers.fill_null(0).to_numpy())
    return matrix


def _within(
    events: pl.DataFrame, as_of: datetime, days: int, event_types: Collection[str] | None
) -> pl.DataFrame:
    when = pl.col("occurred_at")
    recent = events.filter(when >= as_of - timedelta(days=days), when < as_of)
    if event_types is None:
        return recent
    return recent.filter(pl.col("event_type").is_in(sorted(event_types)))
