"""Lists of a small shop, in words: what rooms upstream would hand to the store."""

from collections.abc import Iterable
from datetime import date
from typing import Any

import polars as pl

from recsys_tasks.store.load import Candidate
from recsys_tasks.store.store import Store

TOP_K = 3
OTHER = ("oat", "nut", "fig")
MONDAY = date(2026, 3, 2)
TUESDAY = date(2026, 3, 3)
WEDNESDAY = date(2026, 3, 4)

TYPES = {
    "user_id": pl.String,
    "rank": pl.Int32,
    "item_id": pl.String,
    "score": pl.Float32,
    "source": pl.String,
    "reason": pl.String,
}


def lists(
    users: Iterable[str] = ("ann", "bob"), items: Iterable[str] = ("tea", "milk", "rye")
) -> pl.DataFrame:
    """The same list for every shopper."""
    rows = [
        (user, rank, item, 1 / rank, "repeat", f"you bought {item} before")
        for user in users
        for rank, item in enumerate(items, 1)
    ]
    return pl.DataFrame(rows, schema=TYPES, orient="row")


def candidate(night: date = MONDAY, **facts: Any) -> Candidate:
    model = {"model": f"model of {night}", "model_refs": {"towers": f"towers/{night}/1"}}
    return Candidate(**{"night": night, "run_id": f"run of {night}", "top_k": TOP_K, **model, **facts})


def live_items(store: Store) -> list[str]:
    """What ann reads."""
    return [row.item_id for row in store.user_list("ann")]
