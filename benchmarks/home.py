"""
Where a benchmark works: a home of its own per shop, so that the shop's own home and database stay untouched.

The whole log is ingested once by the product's own ingest; every run on the same data finds it again. The artefacts
of all cuts and settings lie side by side, as those of nights do.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from glob import glob
from pathlib import Path

from recsys_tasks.calendar import night_of
from recsys_tasks.errors import EmptyPartition, SettingsError
from recsys_tasks.extract.events import extract_events
from recsys_tasks.files import locked, write_whole
from recsys_tasks.lake.tables import Lake
from recsys_tasks.settings import Settings, SourceSettings, load_settings
from recsys_tasks.steps.ingest import chunks, run_range
from recsys_tasks.steps.job import Job, Options
from recsys_tasks.workspace import fingerprint_of

log = logging.getLogger(__name__)

# No shop's log begins earlier.
DAWN = date(1990, 1, 1)
# A second run on the same home waits for the first to ingest or to finish a cut.
PATIENCE_SECONDS = 6 * 3600.0


@dataclass(frozen=True)
class Home:
    """A shop whose whole log lies in the lake of ``settings.home``; the log's first and last event, in UTC."""

    settings: Settings
    first: datetime
    last: datetime

    @property
    def folder(self) -> Path:
        return self.settings.home

    def job(self, cut: date) -> Job:
        """The night whose ``as_of`` is the start of the day ``cut``; its models start from scratch."""
        night = self.settings.night((cut - timedelta(days=1)).isoformat())
        return Job(self.settings, night, Options(start="scratch", run_id="benchmark"))

    @contextmanager
    def alone(self, cut: date) -> Iterator[None]:
        """Keep other benchmarks on this home away from a cut: an artefact's ``current`` is one for all."""
        file = self.folder / "locks" / f"{cut}.lock"
        with locked(file, f"the cut {cut}", patience=PATIENCE_SECONDS):
            yield


def shop_settings(file: Path, overrides: Sequence[str] = ()) -> Settings:
    """
    The shop's settings, overridden by ``section.name=value`` as the environment overrides them: strictly.

    Raises SettingsError for a name that is no setting and for a value that it cannot have.
    """
    variables = dict(_variable(override) for override in overrides)
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        return load_settings(file)
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def _variable(override: str) -> tuple[str, str]:
    name, equals, value = override.partition("=")
    if not equals or not name:
        raise SettingsError(f"--set {override!r}: write section.name=value, e.g. towers.dim=64")
    return "RECSYS_" + name.upper().replace(".", "__"), value


def open_home(settings: Settings, root: Path) -> Home:
    """The shop's home below ``root``, filled where it is not yet: one per name, source and state of the files."""
    folder = (root / f"{settings.name}-{_source_key(settings)}").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    moved = settings.model_copy(update={"home": folder, "database": f"sqlite:///{folder / 'benchmark.db'}"})
    ready = folder / "ingested"
    with locked(folder / "ingest.lock", f"the log of {settings.name}", patience=PATIENCE_SECONDS):
        if not ready.exists():
            ingest(moved)
            write_whole(ready, "the whole log is in the lake\n")
    return opened(moved)


def opened(settings: Settings) -> Home:
    """A home whose lake is filled."""
    lake = Lake(settings.home / "lake")
    first, last = lake.first_event(), _last_event(lake)
    if first is None or last is None:
        raise EmptyPartition(f"the log of {settings.name} is empty: nothing can be measured on it")
    return Home(settings, first, last)


def ingest(settings: Settings) -> None:
    """Read the shop's whole log and catalogue into the home by the calls a shop's own ingest makes."""
    yesterday = night_of(datetime.now(UTC), settings.zone) - timedelta(days=1)
    end = min(settings.last_night or yesterday, yesterday)
    found = extract_events(settings.sources.events, DAWN, end, settings.zone).clean["occurred_at"]
    first, last = found.min(), found.max()
    if not isinstance(first, datetime) or not isinstance(last, datetime):
        raise EmptyPartition(f"the log of {settings.name} holds no event up to {end}")
    begins, ends = (night_of(instant, settings.zone).isoformat() for instant in (first, last))
    ranges = chunks(begins, ends, count=1)
    for begins, ends in ranges:
        run_range(begins, ends, catalogue=(begins, ends) == ranges[-1], settings=settings)


def _last_event(lake: Lake) -> datetime | None:
    filled = next((day for day in reversed(lake.days()) if getattr(lake.day_record(day), "rows", 0)), None)
    if filled is None:
        return None
    noon = datetime(filled.year, filled.month, filled.day, 12, tzinfo=UTC)
    last = lake.events_between(noon - timedelta(days=2), noon + timedelta(days=2))["occurred_at"].max()
    return last if isinstance(last, datetime) else None


def _source_key(settings: Settings) -> str:
    """Changes with the sources, and with the size or the time of a file they name."""
    sources = settings.sources
    files = [file for source in (sources.events, sources.items) for file in _files(source)]
    state = [(file, os.stat(file).st_size, os.stat(file).st_mtime_ns) for file in sorted(set(files))]
    facts = {"sources": sources.model_dump(mode="json"), "files": state, "zone": settings.time_zone}
    return fingerprint_of(facts)[:8]


def _files(source: SourceSettings) -> list[str]:
    named = [] if source.path is None else glob(source.path, recursive=True)
    address = source.url or ""
    return named + ([address.removeprefix("sqlite:///")] if address.startswith("sqlite:///") else [])
