"""
A fold of items without history: a home in which they appear in the catalogue on the night before the cut.

Their events are taken out of the log altogether, so nothing of the product has seen them; the catalogue first names
them on the cut's own night, with that day as their launch date, as a shop announces a new item. Only items that
somebody had touched before the cut take part, held out or not: the catalogue tells nothing of later launches.
"""

import hashlib
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl

from benchmarks.home import PATIENCE_SECONDS, Home
from recsys_tasks.calendar import Night, night_of, parse_night
from recsys_tasks.errors import SettingsError
from recsys_tasks.files import locked, write_whole
from recsys_tasks.lake.snapshot import Snapshot
from recsys_tasks.lake.tables import Lake
from recsys_tasks.schema import Events, Items
from recsys_tasks.steps.ingest import chunks


@dataclass(frozen=True)
class Fold:
    """``number`` of ``count`` parts of the items; who belongs where is decided by a hash of the id."""

    number: int
    count: int
    seed: int

    def __post_init__(self) -> None:
        if self.count < 2 or not 0 <= self.number < self.count:
            raise SettingsError(
                f"--fold {self.number} --folds {self.count}: give 2 or more folds, and one of them from 0"
            )

    def __str__(self) -> str:
        return f"{self.number}of{self.count}-seed{self.seed}"

    def of(self, items: pl.Series) -> pl.Series:
        """The items of the fold, sorted."""
        mine = [item for item in items.unique().sort() if self._part(item) == self.number]
        return pl.Series("item_id", mine, dtype=pl.String)

    def _part(self, item: str) -> int:
        digest = hashlib.sha256(f"{self.seed}:{item}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.count


@dataclass(frozen=True)
class FoldHome:
    """The home without the history of ``held_out`` (sorted ids); it ends at the cut."""

    home: Home
    held_out: pl.Series


def fold_home(home: Home, cut: date, fold: Fold) -> FoldHome:
    """Make the fold's home below the shop's, or find it again."""
    folder = home.folder / "folds" / f"{cut}-{fold}"
    moved = home.settings.model_copy(
        update={"home": folder, "database": f"sqlite:///{folder / 'benchmark.db'}"}
    )
    night = home.job(cut).night
    snapshot = home.job(cut).lake.snapshot(night.as_of)
    touched = snapshot.events["item_id"].unique()
    held_out = fold.of(snapshot.items["item_id"].filter(snapshot.items["item_id"].is_in(touched.implode())))
    with locked(folder / "fold.lock", f"fold {fold} of {cut}", patience=PATIENCE_SECONDS):
        if not (folder / "filled").exists():
            share_cache(home.folder, folder)
            fill(Lake(folder / "lake"), night, snapshot, touched, held_out)
            write_whole(folder / "filled", "the log without the fold is in the lake\n")
    return FoldHome(Home(moved, home.first, night.as_of), held_out)


def share_cache(source: Path, folder: Path) -> None:
    """Texts that were encoded once are encoded for every fold."""
    (source / "cache").mkdir(exist_ok=True)
    if not (folder / "cache").is_symlink():
        (folder / "cache").symlink_to(source / "cache", target_is_directory=True)


def fill(lake: Lake, night: Night, snapshot: Snapshot, touched: pl.Series, held_out: pl.Series) -> None:
    """Write the log without the fold, the catalogue without it, and on the night the catalogue with it."""
    is_held = pl.col("item_id").is_in(held_out.implode())
    events = snapshot.events.filter(~is_held)
    for first, last in _ranges(events, night):
        days = pl.col("occurred_at").dt.convert_time_zone(str(night.zone)).dt.date()
        part = events.filter(days.is_between(first, last))
        lake.write_days(first, last, night.zone, Events.cast(part), {})
    items = snapshot.items.filter(pl.col("item_id").is_in(touched.implode())).select(*Items.columns())
    # Valid from the night's start on, and assumed before: without the fold.
    lake.write_items(Items.cast(items.filter(~is_held)), night.shift(-1), proven=False)
    launched = pl.when(is_held).then(pl.lit(night.start)).otherwise(pl.col("available_from"))
    lake.write_items(Items.cast(items.with_columns(available_from=launched)), night, proven=True)


def _ranges(events: pl.DataFrame, night: Night) -> list[tuple[date, date]]:
    begins = events["occurred_at"].min()
    first = night_of(begins, night.zone) if isinstance(begins, datetime) else night.date - timedelta(days=1)
    found = chunks(first.isoformat(), str(night), count=1)
    return [(parse_night(begin), parse_night(end)) for begin, end in found]
