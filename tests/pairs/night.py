"""A small night in real files: a lake, a workspace, and the job a step is handed."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from recsys_tasks.calendar import Night
from recsys_tasks.lake.snapshot import EVENT_ORDER
from recsys_tasks.lake.tables import Lake
from recsys_tasks.schema import Events, Items
from recsys_tasks.settings import ClassifierSettings, PairSettings, RankerSettings
from recsys_tasks.steps.job import Options
from recsys_tasks.workspace import Workspace
from tests.pairs.shop import log

ZONE = ZoneInfo("America/New_York")
NIGHT = Night(date(2026, 4, 10), ZONE, gate_days=7)
FIRST, LAST = date(2025, 12, 31), date(2026, 4, 12)
ITEMS = [f"i{n:02}" for n in range(40)]


@dataclass(frozen=True)
class ShopSettings:
    """The part of the settings that these steps read."""

    pairs: PairSettings = field(default_factory=lambda: PairSettings(target_days=14, history_days=60))
    ranker: RankerSettings = field(default_factory=RankerSettings)
    classifier: ClassifierSettings = field(default_factory=ClassifierSettings)
    event_weights: dict[str, float] = field(default_factory=lambda: {"purchase": 1.0, "view": 0.2})
    target_events: tuple[str, ...] = ("purchase",)
    seed: int = 1
    time_zone: str = str(ZONE)
    zone: ZoneInfo = ZONE


@dataclass
class Champion:
    refs: dict[str, str]


@dataclass
class Decisions:
    """A store that knows at most one champion."""

    champion: Champion | None = None

    def champion_before(self, night: Night) -> Champion | None:
        return self.champion


@dataclass(frozen=True)
class SmallJob:
    workspace: Workspace
    lake: Lake
    settings: ShopSettings = ShopSettings()
    night: Night = NIGHT
    store: Decisions = field(default_factory=Decisions)
    options: Options = field(default_factory=Options)

    @property
    def accepted(self) -> Champion | None:
        return self.store.champion_before(self.night)


def small_job(folder: Path, events: pl.DataFrame | None = None) -> SmallJob:
    """A job over a lake that holds the events (by default, 100 days and two days after the night)."""
    fill(Lake(Workspace(folder).lake), small_log() if events is None else events)
    return opened(folder)


def opened(folder: Path) -> SmallJob:
    """A job over a folder that holds a lake."""
    return SmallJob(Workspace(folder), Lake(Workspace(folder).lake))


def fill(lake: Lake, events: pl.DataFrame) -> None:
    lake.write_days(FIRST, LAST, ZONE, Events.validate(events.sort(EVENT_ORDER)), {})
    lake.write_items(catalogue(), NIGHT)


def small_log(shoppers: int = 12) -> pl.DataFrame:
    """Baskets of three, every fifth day; ``launch`` sells from the window on only."""
    rng = np.random.default_rng(3)
    rows = [
        (f"c{shopper:02}", str(item), "purchase", visit + 0.6)
        for shopper in range(shoppers)
        for visit in range(shopper % 5, 102, 5)
        for item in rng.choice(ITEMS, size=3, replace=False)
    ]
    return log(*rows, ("c00", "launch", "purchase", 97.0))


def catalogue() -> pl.DataFrame:
    fields = {name: column.dtype for name, column in Items.columns().items()}
    rows = [{"item_id": item, "kind": "product", "title": item, "text": item} for item in [*ITEMS, "launch"]]
    return Items.validate(pl.DataFrame(rows, schema=fields))


def days(count: float) -> timedelta:
    return timedelta(days=count)
