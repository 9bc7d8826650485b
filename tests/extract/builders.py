"""Sources as files and databases, in the words of a shop that calls things differently."""

import sqlite3
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dataframely as dy
import polars as pl

from recsys_tasks.extract.events import extract_events
from recsys_tasks.extract.extracted import Extracted
from recsys_tasks.extract.items import extract_items
from recsys_tasks.schema import Events, Items
from recsys_tasks.settings import EventSourceSettings, ItemSourceSettings

NEW_YORK = ZoneInfo("America/New_York")
DAY = date(2026, 3, 2)
NOON = "2026-03-02T17:00:00Z"
COLUMNS = {"user_id": "who", "item_id": "what", "event_type": "did", "occurred_at": "at"}
WORDS = {"sale": "purchase", "page": "view"}
QUERY = "SELECT * FROM log WHERE at >= :start AND at < :end"


def row(**changed: Any) -> dict[str, Any]:
    """One row of the shop's log that is fine, but for what changed."""
    return {"who": "ann", "what": "tent", "did": "sale", "at": NOON, **changed}


def event_source(path: Path | str, **changed: Any) -> EventSourceSettings:
    return EventSourceSettings(
        **{"kind": "parquet", "path": str(path), "columns": COLUMNS, "event_types": WORDS, **changed}
    )


def item_source(path: Path | str, **changed: Any) -> ItemSourceSettings:
    return ItemSourceSettings(
        **{"kind": "parquet", "path": str(path), "columns": {"item_id": "sku"}, "text": "{name}", **changed}
    )


def sql_source(url: str, **changed: Any) -> EventSourceSettings:
    return EventSourceSettings(
        **{"kind": "sql", "url": url, "query": QUERY, "columns": COLUMNS, "event_types": WORDS, **changed}
    )


def parquet(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """A Parquet file of the rows."""
    file = folder / "log.parquet"
    pl.DataFrame(rows, infer_schema_length=None).write_parquet(file)
    return file


def database(file: Path, rows: list[dict[str, Any]], table: str = "log") -> str:
    """A SQLite database with one table of untyped columns; gives its URL."""
    names = ", ".join(rows[0])
    marks = ", ".join("?" for _ in rows[0])
    with sqlite3.connect(file) as connection:
        connection.execute(f"CREATE TABLE {table} ({names})")
        connection.executemany(f"INSERT INTO {table} VALUES ({marks})", [tuple(r.values()) for r in rows])
    connection.close()
    return f"sqlite:///{file}"


def extracted(folder: Path, *rows: dict[str, Any], **changed: Any) -> Extracted[Events]:
    """The rows after extraction from a Parquet file, for the one day."""
    return extract_events(event_source(parquet(folder, list(rows)), **changed), DAY, DAY, NEW_YORK)


def catalogue(folder: Path, *rows: dict[str, Any], **changed: Any) -> Extracted[Items]:
    return extract_items(item_source(parquet(folder, list(rows)), **changed))


def column(frame: dy.DataFrame[Any], name: str) -> list[Any]:
    return frame[name].to_list()
