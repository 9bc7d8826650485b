"""What children do until they are killed: functions of a module, as another process can import them."""

import os
import resource
import signal
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from recsys_tasks.calendar import Night
from recsys_tasks.lake.tables import Lake
from recsys_tasks.settings import StoreSettings
from recsys_tasks.steps.ingest import run_range
from recsys_tasks.store.load import Candidate
from recsys_tasks.store.store import Store, open_store
from recsys_tasks.workspace import Draft, Workspace
from tests.faults.children import Points
from tests.lake.builders import events, items
from tests.store.builders import MONDAY, candidate, lists

USERS = ("ann", "bob", "cy")
NIGHT = Night(date(2026, 1, 5))
DAY = date(2026, 3, 2)
KEEP_ONE = StoreSettings(keep_generations=1)

# Publishing: lists that name their night in every row.


def night_of_week(number: int) -> date:
    return MONDAY + timedelta(days=number)


def lists_of(number: int) -> pl.DataFrame:
    day = night_of_week(number)
    return lists(USERS, [f"{thing} of {day}" for thing in ("tea", "milk", "rye")])


def candidate_of(number: int) -> Candidate:
    day = night_of_week(number)
    return candidate(day, lists_ref=f"lists/{day}/1")


def store_at(database: str, url: str | None, folder: Path) -> Store:
    """The store of a ``database`` setting; ``url`` is what its environment variable holds."""
    if url is not None:
        os.environ[database] = url
    return open_store(database, folder / "postgres")


def publish(deadly: int, note: Path, database: str, url: str | None, number: int) -> None:
    """Publish the lists of a night, a shopper a shard; shards are points, too."""
    points = Points(deadly, note)
    store = store_at(database, url, note.parent)
    points.watch_statements()
    store.publish(candidate_of(number), _shards(number, points), KEEP_ONE)


def _shards(number: int, points: Points) -> Iterator[pl.DataFrame]:
    for user in USERS:
        points.reach(f"COPY, before the list of {user}")
        yield lists_of(number).filter(pl.col("user_id") == user)


def roll_back(deadly: int, note: Path, database: str, url: str | None) -> None:
    """Go back one generation."""
    points = Points(deadly, note)
    store = store_at(database, url, note.parent)
    points.watch_statements()
    store.rollback(why="for a test", who="test")


# Artefacts


def fill(draft: Draft, text: str) -> None:
    """Two files and a figure."""
    for name in ("one", "two"):
        with (draft.path / name).open("w") as file:
            file.write(text)
    draft.metrics["letters"] = len(text)


def make_artefact(deadly: int, note: Path, home: Path, text: str) -> None:
    points = Points(deadly, note)
    points.watch_files(home)
    with Workspace(home).artefact("pairs", NIGHT, inputs={"text": text}, settings={}, rooms=()) as draft:
        if draft.is_new:
            points.reach("before the files")
            fill(draft, text)
            points.reach("before the manifest")


def die_in_the_middle_of_a_write(home: Path, most_bytes: int) -> None:
    """Write a Parquet file longer than the kernel lets this process: it is killed inside the write call."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with Workspace(home).artefact("pairs", NIGHT, inputs={}, settings={}, rooms=()) as draft:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
        pl.DataFrame({"n": pl.int_range(100_000, eager=True)}).write_parquet(draft.path / "pairs.parquet")


# The lake

ZONE = NIGHT.zone


def write_day(deadly: int, note: Path, lake: Path, item: str) -> None:
    """A day in which three shoppers take one item."""
    points = Points(deadly, note)
    points.watch_files(lake)
    fill_day(Lake(lake), item)


def fill_day(lake: Lake, item: str, day: date = DAY) -> None:
    rows = [(user, item, f"{day}T12:00:00") for user in USERS]
    lake.write_days(day, day, ZONE, events(*rows), {})


def write_items(deadly: int, note: Path, lake: Path, text: str) -> None:
    """A catalogue of two items with one text."""
    points = Points(deadly, note)
    points.watch_files(lake)
    Lake(lake).write_items(items(tent=text, mat=text), Night(DAY))


def write_days_forever(lake: Path, ready: Path) -> None:
    """The same day again and again, another item each time."""
    for number in range(10_000):
        fill_day(Lake(lake), f"item {number}")
        ready.touch()


def ingest(shop: str, first: str, last: str) -> None:
    """What one run of a backfill does."""
    os.environ["RECSYS_SHOP"] = shop
    run_range(first, last)


def ingest_days(deadly: int, note: Path, shop: str, day: str) -> None:
    """Load one day of the log; what changes the lake is a point."""
    os.environ["RECSYS_SHOP"] = shop
    points = Points(deadly, note)
    points.watch_files(Path(shop).parent / "home")
    run_range(day, day, catalogue=False)
