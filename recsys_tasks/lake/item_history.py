"""
The items of a lake: every version of every item, and the catalogue as it stood at an instant.

``catalogues.json`` remembers hashes that can be computed again.
"""

from dataclasses import replace
from datetime import date, datetime

import dataframely as dy
import polars as pl
from deltalake import DeltaTable

from recsys_tasks.calendar import Night
from recsys_tasks.lake.catalogue import VERSION_FIELDS, catalogue_at, count_changes, versions_of
from recsys_tasks.lake.catalogue_hashes import CatalogueHashes
from recsys_tasks.lake.delta import files_of, replace_rows, turn
from recsys_tasks.lake.folder import TAKEN_FOR, LakeFolder, partitions_of
from recsys_tasks.lake.records import ItemsWritten, read_snapshot, recorded_dates, write_record
from recsys_tasks.schema import Items, ItemVersions


class ItemHistory(LakeFolder):
    """The table ``items`` and the record of each snapshot of the catalogue."""

    def write_items(self, items: dy.DataFrame[Items], night: Night, *, proven: bool = True) -> ItemsWritten:
        """
        Add the catalogue as ``night`` found it: rows for what is new, changed or gone since the night before.

        ``proven``: the source was read about when the night ended; else (history loaded later) membership counts
        only for items somebody touched. A second snapshot of the newest night replaces the first, unless it knows
        less; one of an older night changes nothing.
        """
        self.create()
        file = self._snapshots / f"{night.date}.json"
        with turn([self._lock("items")], "the items of the lake"):
            before = read_snapshot(file)
            if night.date < max(self._taken(), default=date.min) or (before and before.proven and not proven):
                return ItemsWritten(total=items.height, skipped=True, proven=proven)
            stored = self._versions()
            earlier = stored.filter(pl.col("valid_from") < night.as_of)
            versions = versions_of(items, earlier, night.as_of, proven=proven)
            if not versions.equals(stored.filter(pl.col("valid_from") == night.as_of).sort("item_id")):
                dated = versions.with_columns(pl.lit(night.date).alias(TAKEN_FOR))
                replace_rows(self._items, dated, f"{TAKEN_FOR} = '{night.date}'")
            counted = count_changes(versions, earlier)
            written = replace(counted, total=items.height, assumed=earlier.is_empty(), proven=proven)
            write_record(file, written)
        return written

    def catalogue(self, as_of: datetime) -> pl.DataFrame:
        """The Catalogue as of an instant, by item_id."""
        return catalogue_at(self._versions(), as_of)

    def catalogue_hashes(self) -> CatalogueHashes:
        """The hashes of the catalogue at any instant."""
        kept = self.folder / "catalogues.json"
        if not DeltaTable.is_deltatable(str(self._items)):
            return CatalogueHashes(pl.DataFrame(), ItemVersions.create_empty, kept)
        opened = self._open(self._items)
        # Files and rows of one version, whoever writes meanwhile.
        return CatalogueHashes(files_of(opened), lambda: _versions_in(self._read(self._items, opened)), kept)

    def _versions(self) -> pl.DataFrame:
        """Every version of every item."""
        if not DeltaTable.is_deltatable(str(self._items)):
            return ItemVersions.create_empty()
        return _versions_in(self._scan(self._items))

    def _taken(self) -> list[date]:
        """The nights that have a snapshot; a crash before the record still leaves the partition."""
        return [*recorded_dates(self._snapshots), *partitions_of(DeltaTable(self._items), TAKEN_FOR)]


def _versions_in(items: pl.LazyFrame) -> pl.DataFrame:
    return items.select(VERSION_FIELDS).collect()
