"""Small logs and catalogues in the words of a shop."""

from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import dataframely as dy
import polars as pl

from recsys_tasks.calendar import Night
from recsys_tasks.lake.tables import Lake
from recsys_tasks.schema import Events, Items

NEW_YORK = ZoneInfo("America/New_York")
EVENT_TYPES = {name: column.dtype for name, column in Events.columns().items()}
ITEM_TYPES = {name: column.dtype for name, column in Items.columns().items()}


def events(*rows: tuple[str, str, str]) -> dy.DataFrame[Events]:
    """Purchases as (user, item, UTC time in ISO)."""
    purchases = [
        {
            "user_id": user,
            "item_id": item,
            "event_type": "purchase",
            "occurred_at": datetime.fromisoformat(at).replace(tzinfo=UTC),
        }
        for user, item, at in rows
    ]
    return Events.validate(pl.DataFrame(purchases, schema=EVENT_TYPES))


def items(**texts: str) -> dy.DataFrame[Items]:
    """A catalogue of item=text."""
    listed = [
        {"item_id": item, "kind": "product", "title": text, "text": text} for item, text in texts.items()
    ]
    return Items.validate(pl.DataFrame(listed, schema=ITEM_TYPES))


def night(day: str) -> Night:
    return Night(date.fromisoformat(day), NEW_YORK)


def write_day(lake: Lake, day: str, *rows: tuple[str, str, str]) -> None:
    on = date.fromisoformat(day)
    lake.write_days(on, on, NEW_YORK, events(*rows), {})


def filled(folder: Path) -> Lake:
    """Three days of one shopper, at noon."""
    lake = Lake(folder)
    for day in ("2026-03-01", "2026-03-02", "2026-03-03"):
        write_day(lake, day, ("ann", f"tent {day}", f"{day}T17:00:00"))
    return lake
