"""
Where rows come from: one function a kind, chosen by ``kind`` in shop.yaml.

A reader gives the source's own columns, untouched, for the instants [start, end) (None: everything). It may give
rows whose time it cannot read, for the caller to set aside. A new kind is one function and one line in READERS.
"""

from collections.abc import Callable
from datetime import datetime

import polars as pl

from recsys_tasks.extract.files import read_csv, read_parquet
from recsys_tasks.extract.sql import read_sql
from recsys_tasks.settings import SourceSettings

Reader = Callable[[SourceSettings, datetime | None, datetime | None], pl.DataFrame]

READERS: dict[str, Reader] = {"sql": read_sql, "parquet": read_parquet, "csv": read_csv}


def read(source: SourceSettings, start: datetime | None = None, end: datetime | None = None) -> pl.DataFrame:
    """
    The raw rows of a source.

    Raises SourceError where it does not answer, SchemaMismatch where it lacks a mapped column, SettingsError where
    its address is not set.
    """
    return READERS[source.kind](source, start, end)
