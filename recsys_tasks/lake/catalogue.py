"""
The catalogue's history as pure functions: what a new snapshot changes, and what a night may know.

A version is valid from its ``valid_from`` until the item's next one. The snapshot a night takes is valid from
that night's ``as_of``: visible to the night itself, invisible to the night before, whose ``as_of`` is earlier.
"""

from datetime import datetime

import polars as pl

from recsys_tasks.lake.records import ItemsWritten
from recsys_tasks.schema import Items, ItemVersions

FIELDS = tuple(Items.columns())
VERSION_FIELDS = tuple(ItemVersions.columns())


def versions_of(
    items: pl.DataFrame, earlier: pl.DataFrame, valid_from: datetime, *, proven: bool
) -> pl.DataFrame:
    """
    The versions a snapshot adds to the ``earlier`` ones: items that are new, changed or gone, by item_id.

    The very first snapshot counts as valid before its time too (``assumed``), although nobody saw it then. A
    ``proven`` snapshot (read about when ``valid_from`` was) also adds each item that no earlier one proves.
    """
    known = _latest(earlier).filter(~pl.col("removed"))
    alive = known.select(FIELDS)
    listed = items.select(FIELDS)
    settled = alive.filter(pl.col("item_id").is_in(_proven(earlier).implode())) if proven else alive
    fresh = listed.join(settled, on=list(FIELDS), how="anti", nulls_equal=True)
    gone = alive.join(listed, on="item_id", how="anti")
    rows = pl.concat([fresh.with_columns(removed=False), gone.with_columns(removed=True)])
    return (
        rows.with_columns(
            valid_from=pl.lit(valid_from).cast(pl.Datetime("us", "UTC")),
            assumed=pl.lit(earlier.is_empty()),
            proven=pl.lit(proven),
        )
        .select(VERSION_FIELDS)
        .sort("item_id")
    )


def count_changes(versions: pl.DataFrame, earlier: pl.DataFrame) -> ItemsWritten:
    """How many of the versions are new, changed and gone; one that only proves an item again is none of these."""
    alive = _latest(earlier).filter(~pl.col("removed"))
    present = versions.filter(~pl.col("removed"))
    listed = present.join(alive, on="item_id", how="semi")
    same = listed.join(alive, on=list(FIELDS), how="semi", nulls_equal=True)
    changed = listed.height - same.height
    return ItemsWritten(
        total=present.height,
        added=present.height - listed.height,
        changed=changed,
        removed=versions.height - present.height,
    )


def catalogue_at(versions: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """The rows of the Catalogue contract as of an instant, by item_id."""
    seen = pl.col("valid_from") <= as_of
    known = _latest(versions.filter(seen | pl.col("assumed"))).filter(~pl.col("removed"))
    proven = pl.col("item_id").is_in(_proven(versions.filter(seen)).implode())
    return known.select(*FIELDS, proven=proven)


def _proven(versions: pl.DataFrame) -> pl.Series:
    """The items that some version proves to be in the catalogue (again, where they were gone in between)."""
    gone = versions.filter("removed").group_by("item_id").agg(since=pl.col("valid_from").max())
    return (
        versions.filter("proven", ~pl.col("removed"))
        .join(gone, on="item_id", how="left")
        .filter((pl.col("valid_from") > pl.col("since")).fill_null(True))
        .get_column("item_id")
        .unique()
    )


def _latest(versions: pl.DataFrame) -> pl.DataFrame:
    """The newest version of each item, by item_id."""
    return versions.sort("item_id", "valid_from").unique("item_id", keep="last", maintain_order=True)
