"""What a model may see: the log and the catalogue as they stood at one instant."""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

EVENT_ORDER = ("occurred_at", "user_id", "item_id", "event_type")


@dataclass(frozen=True)
class Snapshot:
    """
    The shop as of an instant.

    ``events`` has the Events contract, every row before ``as_of``, in the total order EVENT_ORDER (rows with one
    timestamp must not stand in the order they arrived in). ``items`` has the Catalogue contract, by item_id.
    """

    as_of: datetime
    events: pl.DataFrame
    items: pl.DataFrame

    def eligible(self) -> pl.Series:
        """
        The ids of the items a list may hold, sorted.

        An item counts as offered when the catalogue of that time proves it, it has a launch date, or somebody
        touched it; and only while it is available.
        """
        at = pl.lit(self.as_of)
        touched = self.events.select(pl.col("item_id").unique())
        launched = pl.col("available_from") <= at
        return (
            self.items.filter(
                pl.col("proven")
                | launched.fill_null(False)
                | pl.col("item_id").is_in(touched["item_id"].implode())
            )
            .filter(launched.fill_null(True), (pl.col("available_until") > at).fill_null(True))
            .get_column("item_id")
            .sort()
        )
