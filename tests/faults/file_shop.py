"""A shop whose log is a folder of files, one a day, in words of its own."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from recsys_tasks.lake.tables import Lake
from recsys_tasks.settings import load_settings
from recsys_tasks.steps import extract_events
from recsys_tasks.steps.job import Job
from recsys_tasks.workspace import Facts

MONDAY, TUESDAY = date(2026, 3, 2), date(2026, 3, 3)
WORDS = {"sale": "purchase", "page": "view"}
COLUMNS = {"user_id": "who", "item_id": "what", "event_type": "did", "occurred_at": "at", "value": "paid"}


def rows_of(day: date, **changed: Any) -> pl.DataFrame:
    """Forty sales of a day; ``changed`` replaces columns."""
    began = datetime(day.year, day.month, day.day, 9)
    rows = [
        {"who": f"c{n}", "what": "tent", "did": "sale", "at": began + timedelta(minutes=n), "paid": 9.5}
        for n in range(40)
    ]
    return pl.DataFrame(rows).with_columns(**changed)


@dataclass(frozen=True)
class FileShop:
    folder: Path
    kind: str

    def file(self, day: date) -> Path:
        return self.folder / "log" / f"{day}.{self.kind}"

    def write(self, day: date, rows: pl.DataFrame) -> Path:
        file = self.file(day)
        file.parent.mkdir(exist_ok=True)
        if self.kind == "csv":
            rows.write_csv(file, datetime_format="%Y-%m-%d %H:%M:%S")
        else:
            rows.write_parquet(file)
        return file

    def extract(self, day: date) -> Facts:
        settings = load_settings()
        return extract_events.run(Job(settings, settings.night(day.isoformat())))

    @property
    def lake(self) -> Lake:
        return Lake(self.folder / "home" / "lake")

    def seen(self) -> tuple[list[date], int]:
        """What a night of Tuesday reads: the days that count, and their events."""
        night = load_settings().night(TUESDAY.isoformat())
        return self.lake.days(), self.lake.snapshot(night.as_of).events.height


def file_shop(folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str, **changed: Any) -> FileShop:
    """The shop, its Monday extracted."""
    events = {"kind": kind, "path": f"log/*.{kind}", "columns": COLUMNS, "event_types": WORDS, **changed}
    items = {"kind": "csv", "path": "items.csv", "columns": {"item_id": "sku"}, "text": "{name}"}
    settings = {
        "name": "files",
        "home": "home",
        "database": "sqlite:///serve.db",
        "time_zone": "UTC",
        "first_night": MONDAY,
        "lookback_days": 1,
        "sources": {"events": events, "items": items},
    }
    (folder / "shop.yaml").write_text(yaml.safe_dump(settings))
    (folder / "items.csv").write_text("sku,name\ntent,Tent\n")
    monkeypatch.setenv("RECSYS_SHOP", str(folder / "shop.yaml"))
    shop = FileShop(folder, kind)
    shop.write(MONDAY, rows_of(MONDAY))
    shop.extract(MONDAY)
    return shop
