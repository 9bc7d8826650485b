"""
What an item that has no past yet may expect: what earlier launches of its category got in their first days.

Popularity buries a launch: on its first night nobody can have taken it. So it starts with what launches of its
category usually get. Everything is as of an instant: a launch teaches only once its whole window lies before the
instant.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_tasks.model.popularity import DAY_US, buyers

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

# Launches of this many days teach; a category's mean counts as much as the shop's at this many launches.
DAYS = 180
SHRINKAGE = 10.0
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Launches:
    """First event of each of n items, and how many shoppers took it in the first days of each of P windows."""

    windows: Sequence[int]
    begins: int
    """The first event of the log in us: items seen within a window of it are old ones, not launches."""
    first: Ints
    """(n,) in us; NEVER without an event."""
    taken: Floats
    """(n, P) log1p of buyers in the window behind the first event; it may reach beyond what is past."""
    category: Ints
    """(n,)"""

    @classmethod
    def of(
        cls,
        events: pl.DataFrame,
        item_ids: pl.Series,
        categories: pl.DataFrame,
        windows: Sequence[int],
        event_types: Collection[str],
    ) -> "Launches":
        """``categories`` has ``item_id, category``; an unknown category is one of its own."""
        counted = events.filter(pl.col("event_type").is_in(sorted(event_types)))
        begins = 0 if counted.is_empty() else int(counted["occurred_at"].dt.epoch("us").min())  # type: ignore[arg-type]
        places = pl.LazyFrame(
            {"item_id": item_ids, "item": pl.Series(np.arange(len(item_ids)), dtype=pl.Int64)}
        )
        rows = (
            counted.lazy()
            .join(places, on="item_id", how="inner", maintain_order="left")
            .select(
                pl.col("user_id").cast(pl.Categorical).to_physical().cast(pl.Int64),
                "item",
                at=pl.col("occurred_at").dt.epoch("us"),
            )
            .collect()
        )
        user, item, at = rows["user_id"].to_numpy(), rows["item"].to_numpy(), rows["at"].to_numpy()
        first = np.full(len(item_ids), NEVER)
        np.minimum.at(first, item, at)
        taken = np.zeros((len(item_ids), len(windows)), np.float32)
        for column, days in enumerate(windows):
            early = at - first[item] < days * DAY_US
            taken[:, column] = np.log1p(buyers(user[early], item[early], len(item_ids)))
        return cls(windows, begins, first, taken, _category(item_ids, categories))

    def expected(self, instant: int, column: int) -> Floats:
        """(n,) log1p of the buyers a launch of each item's category gets in a window, from launches before it."""
        window = self.windows[column] * DAY_US
        teaches = (
            (self.first >= self.begins + window)
            & (self.first >= instant - window - DAYS * DAY_US)
            & (self.first < instant - window)
        )
        if not teaches.any():
            return np.zeros(len(self.first), np.float32)
        groups = int(self.category.max()) + 1
        counts = np.bincount(self.category[teaches], minlength=groups)
        sums = np.bincount(self.category[teaches], weights=self.taken[teaches, column], minlength=groups)
        mean = sums.sum() / counts.sum()
        shrunk = (sums + SHRINKAGE * mean) / (counts + SHRINKAGE)
        return np.asarray(shrunk[self.category], np.float32)

    def complete(self, popularity: Floats, instant: int) -> Floats:
        """
        ``popularity`` (n, P) as of ``instant`` in us, for items without an event yet what is expected of them.

        From the first event on its own shoppers speak: to help young items on cost accuracy (measured).
        """
        completed = popularity.copy()
        unseen = self.first >= instant
        for column in range(len(self.windows)):
            completed[unseen, column] = self.expected(instant, column)[unseen]
        return completed


def _category(item_ids: pl.Series, categories: pl.DataFrame) -> Ints:
    wanted = pl.DataFrame({"item_id": item_ids})
    found = wanted.join(categories, on="item_id", how="left", maintain_order="left")["category"]
    # A dense rank: codes that do not depend on the order of the items.
    return found.fill_null("").rank("dense").cast(pl.Int64).to_numpy() - 1
