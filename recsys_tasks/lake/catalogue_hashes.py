"""The content hash of the catalogue as it stood at instants: each is computed once and remembered."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import polars as pl

from recsys_tasks.files import write_whole
from recsys_tasks.lake.catalogue import catalogue_at
from recsys_tasks.lake.records import content_hash
from recsys_tasks.workspace import Facts, code_version, fingerprint_of

# What a hash rests on beside the rows: other code may read them otherwise.
CODE = ("lake", "schema")
FROM, UNTIL = "min.valid_from", "max.valid_from"


@dataclass(frozen=True)
class CatalogueHashes:
    """
    The hashes of one version of the table of items.

    ``files`` are its data files with the range of ``valid_from`` in each, ``versions`` reads its rows. A catalogue
    depends on the files that were known by its instant, and on the first one, which is assumed before its time; files
    never change. So ``kept``, a small JSON file, holds hashes by the names of files.
    """

    files: pl.DataFrame
    versions: Callable[[], pl.DataFrame]
    kept: Path

    def at(self, as_of: datetime) -> str:
        """``content_hash`` of the catalogue as of an instant."""
        key = self._key(as_of)
        found = None if key is None else self._kept().get(key)
        if found is None:
            found = content_hash(catalogue_at(self._rows, as_of))
            if key is not None:
                self._keep(key, found)
        return found

    def _key(self, as_of: datetime) -> str | None:
        """What tells this catalogue from others; none where the files do not tell."""
        if not {FROM, UNTIL} <= set(self.files.columns) or self.files[FROM].has_nulls():
            return None
        seen = self.files.filter(pl.col(FROM) <= as_of)
        # Files hold one snapshot each, unless somebody compacted the table.
        if (seen[UNTIL] > as_of).fill_null(True).any():
            return None
        first = self.files.filter(pl.col(FROM) == pl.col(FROM).min())
        return fingerprint_of({"seen": sorted(seen["path"]), "first": sorted(first["path"])})

    def _kept(self) -> dict[str, str]:
        try:
            facts: Facts = json.loads(self.kept.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        hashes: dict[str, str] = facts["hashes"] if facts["code"] == self._code else {}
        return hashes

    def _keep(self, key: str, found: str) -> None:
        """Who writes at the same time may lose the other's hash: it is computed once more, then."""
        facts = {"code": self._code, "hashes": {**self._kept(), key: found}}
        write_whole(self.kept, json.dumps(facts, indent=0, sort_keys=True))

    @cached_property
    def _rows(self) -> pl.DataFrame:
        return self.versions()

    @cached_property
    def _code(self) -> str:
        return fingerprint_of({room: code_version(room) for room in CODE})
