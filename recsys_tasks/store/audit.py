"""What is counted while lists are loaded, and the first reason they must not go live."""

from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from recsys_tasks.errors import DataError, SchemaMismatch
from recsys_tasks.schema import Recommendations
from recsys_tasks.settings import StoreSettings
from recsys_tasks.store.tables import Generation

TEXTS = ("user_id", "item_id", "source", "reason")


def checked(frame: pl.DataFrame) -> pl.DataFrame:
    """
    The columns of the Recommendations contract, in list order.

    Raises SchemaMismatch (a column is missing or null) or DataError (NUL, which PostgreSQL cannot store).
    """
    missing = [name for name in Recommendations.column_names() if name not in frame.columns]
    if missing:
        raise SchemaMismatch(f"lists lack the column {', '.join(missing)}")
    frame = frame.select(Recommendations.column_names())
    for name in frame.columns:
        if frame[name].null_count():
            raise SchemaMismatch(f"lists: column {name} has {frame[name].null_count()} rows without a value")
    for name in TEXTS:
        if frame[name].str.contains("\0", literal=True).any():
            raise DataError(f"lists: column {name} holds a NUL character; clean it where it is extracted")
    return frame.sort("user_id", "rank", "item_id")


@dataclass
class Figures:
    """Counts over all shards of the lists; ``duplicates``, ``unknown`` and ``misranked`` count rows, the rest lists."""

    rows: int = 0
    users: int = 0
    short: int = 0
    duplicates: int = 0
    unknown: int = 0
    misranked: int = 0

    def add(self, frame: pl.DataFrame, top_k: int, known_items: pl.Series | None) -> None:
        """Count one shard (as ``checked`` returns it)."""
        place = pl.int_range(pl.len()).over("user_id") + 1
        unknown = pl.lit(False) if known_items is None else ~pl.col("item_id").is_in(known_items.implode())
        counts = frame.select(
            rows=pl.len(),
            users=pl.col("user_id").n_unique(),
            short=(pl.col("user_id").value_counts().struct.field("count") < top_k).sum(),
            duplicates=pl.len() - pl.struct("user_id", "item_id").n_unique(),
            unknown=unknown.sum(),
            misranked=(pl.col("rank") != place).sum(),
        )
        for name, count in counts.row(0, named=True).items():
            setattr(self, name, getattr(self, name) + int(count))

    def as_facts(self) -> dict[str, Any]:
        return asdict(self)


def fault(figures: Figures, settings: StoreSettings) -> str | None:
    """What is wrong with the lists themselves, and how to go on; none where they are fit to be read."""
    made_wrong = "look at the log of recommend, then run the night again from there"
    if figures.rows == 0:
        return f"there are no lists; {made_wrong}"
    if figures.duplicates:
        return f"{figures.duplicates} rows repeat an item within a list; {made_wrong}"
    if figures.misranked:
        return f"{figures.misranked} rows break the order of ranks 1, 2, 3, ... within a list; {made_wrong}"
    if figures.unknown:
        return (
            f"{figures.unknown} rows hold an item that the catalogue of the night does not; "
            "run the night again from encode_items"
        )
    if figures.short > settings.max_short * figures.users:
        return (
            f"{figures.short} of {figures.users} lists are shorter than top_k; loosen the rules, ask for a smaller "
            f"top_k, or raise store.max_short (now {settings.max_short}), then publish again"
        )
    return None


def shrinkage(new: Generation, live: Generation | None, settings: StoreSettings) -> str | None:
    """Why lists that are fit to be read are too few against what is live, and how to go on."""
    if live is None or live.night > new.night:
        return None
    # Another list length changes the rows of a healthy night; then shoppers are what can be compared.
    what, now, before = "rows", new.rows, live.rows
    if new.top_k != live.top_k:
        what, now, before = "lists", new.users, live.users
    if now >= before * (1 - settings.max_shrink):
        return None
    return (
        f"{now} {what} against {before} of the live generation; look at what the night read, or, where the shop did "
        f"shrink, raise store.max_shrink (now {settings.max_shrink}) and publish again"
    )
