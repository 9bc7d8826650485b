"""
Fill the lake: events of a range of business days, and the catalogue.

A night's own extraction and the loading of history are the same call. Extracting a day replaces that day and nothing
else, so running it twice, or many ranges at once, changes nothing.
"""

import logging
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from recsys_tasks.calendar import days_between, is_fresh
from recsys_tasks.errors import EmptyPartition, TooManyBadRows
from recsys_tasks.extract import quarantine
from recsys_tasks.extract.columns import place_of
from recsys_tasks.extract.events import extract_events
from recsys_tasks.extract.extracted import Extracted
from recsys_tasks.extract.items import extract_items
from recsys_tasks.files import enough_space
from recsys_tasks.lake.tables import Lake
from recsys_tasks.schema import Events, Items
from recsys_tasks.settings import Settings, load_settings
from recsys_tasks.steps.ranges import parse_range, past_days
from recsys_tasks.workspace import Facts, Workspace

log = logging.getLogger(__name__)

# One range holds a lock file a day while it writes, and its rows in memory.
MAX_DAYS_AT_ONCE = 366
MONTH_DAYS = 31


def chunks(first: str, last: str, count: int = 4) -> list[tuple[str, str]]:
    """
    Split a range of days (ISO dates, both included) into about ``count`` ranges, in order; each fits one write.

    Raises NightOutOfRange for what is no range.
    """
    begins, ends = parse_range(first, last)
    days = (ends - begins).days + 1
    pieces = min(days, max(count, -(-days // MAX_DAYS_AT_ONCE)))
    bounds = [begins + timedelta(days=days * piece // pieces) for piece in range(pieces + 1)]
    return [(begin.isoformat(), (end - timedelta(days=1)).isoformat()) for begin, end in pairwise(bounds)]


def months(first: str, last: str, settings: Settings | None = None) -> list[tuple[str, str]]:
    """
    The same in pieces of about a month: what a piece reads is held in memory.

    Raises NightOutOfRange as ``past_days``, before the first piece is loaded.
    """
    begins, ends = past_days(settings or load_settings(), first, last, _now())
    return chunks(first, last, count=-(-((ends - begins).days + 1) // MONTH_DAYS))


def run_range(first: str, last: str, *, catalogue: bool = True, settings: Settings | None = None) -> Facts:
    """
    Load the days ``first`` to ``last``, empty ones too, and (unless told not to) the catalogue as of the last.

    Who maps several ranges takes the catalogue with the newest of them only. Raises NightOutOfRange as ``past_days``,
    TooManyBadRows, and whatever the sources raise, before the lake is touched.
    """
    settings = settings or load_settings()
    begins, ends = past_days(settings, first, last, _now())
    with enough_space(settings.home):
        items = fetch_items(settings, ends) if catalogue else None
        facts = {"first": first, "last": last, **load_events(settings, begins, ends)}
        return facts if items is None else {**facts, "items": keep_items(settings, ends, items)}


def _now() -> datetime:
    return datetime.now(UTC)


def load_events(settings: Settings, first: date, last: date, *, needed: date | None = None) -> Facts:
    """
    Extract some days and write them; raises EmptyPartition where the ``needed`` day (the last one) has no events.

    The oldest days stay as they are where the source has forgotten them altogether: many keep some months only.
    """
    source, lake = settings.sources.events, Lake(settings.home / "lake")
    found: Extracted[Events] = extract_events(source, first, last, settings.zone)
    log.info("read %d events of %s to %s, kept %d", found.read, first, last, found.clean.height)
    _refuse_bad(settings, found, "events", str(first) if first == last else f"{first}_{last}")
    told = _first_told(lake, found, first, last)
    if told is not None:
        if needed is not None:
            _require_events(settings, found, needed)
        lake.write_days(told, last, settings.zone, found.clean, found.days)
    return {
        "events": found.clean.height,
        "read": found.read,
        "rejected": found.rejected,
        "filtered": found.filtered,
    }


def _first_told(lake: Lake, found: Extracted[Events], first: date, last: date) -> date | None:
    """The first day that the source has rows of, or that the lake has none of."""
    for day in days_between(first, last):
        record = lake.day_record(day)
        if found.days[day].read or record is None or record.rows == 0:
            return day
        log.warning("the source has no row of %s any more: the lake keeps its %d events", day, record.rows)
    return None


def fetch_items(settings: Settings, night: date) -> Extracted[Items]:
    """The catalogue as the source has it now; raises EmptyPartition where it holds nothing."""
    found = extract_items(settings.sources.items)
    log.info("read %d rows of the catalogue, kept %d items", found.read, found.clean.height)
    _refuse_bad(settings, found, "items", str(night))
    if found.clean.is_empty():
        raise EmptyPartition(
            f"the catalogue is empty: {place_of(settings.sources.items)} gave {_account(found)}"
        )
    return found


def keep_items(settings: Settings, night: date, found: Extracted[Items]) -> Facts:
    """Write the catalogue as the snapshot of a night."""
    known = settings.night(night.isoformat())
    proven = is_fresh(known, _now())
    written = Lake(settings.home / "lake").write_items(found.clean, known, proven=proven)
    if written.skipped:
        log.info("a catalogue that knows better is recorded: this one of %s changes nothing", night)
    elif not proven:
        log.info(
            "read long after %s: of this catalogue only items that were touched count as offered then", night
        )
    return {
        **vars(written),
        "read": found.read,
        "rejected": found.rejected,
        "filtered": found.filtered,
        "noted": found.noted,
    }


def summed(loaded: list[Facts]) -> Facts:
    """The facts of a range from those of its pieces, in order; the catalogue came with the last one."""
    return {
        "first": loaded[0]["first"],
        "last": loaded[-1]["last"],
        **{name: sum(facts[name] for facts in loaded) for name in ("events", "read")},
        **{name: added(*(facts[name] for facts in loaded)) for name in ("rejected", "filtered")},
        **{name: facts for name, facts in loaded[-1].items() if name == "items"},
    }


def added(*parts: dict[str, int]) -> dict[str, int]:
    """Counts by name, summed, by name."""
    return {
        name: sum(part.get(name, 0) for part in parts) for name in sorted({n for part in parts for n in part})
    }


def _refuse_bad(
    settings: Settings, found: Extracted[Events] | Extracted[Items], source: str, label: str
) -> None:
    kept = quarantine.write(Workspace(settings.home).quarantine, source, label, found.rejects)
    bad, most = found.bad, settings.check.max_rejected
    if bad:
        log.warning(
            "rejected %d %s rows (%s), rows of each reason are in %s", bad, source, found.rejected, kept
        )
    if bad > most * found.read:
        raise TooManyBadRows(
            f"{bad} of {found.read} {source} rows of {label} were rejected, check.max_rejected allows {most:.1%}: "
            f"{_listed(found.rejected)}; rows of each reason are in {kept}"
        )


def _require_events(settings: Settings, found: Extracted[Events], day: date) -> None:
    night = settings.night(day.isoformat())
    if found.clean.filter(found.clean["occurred_at"] >= night.start).is_empty():
        raise EmptyPartition(
            f"no events for {night}: {place_of(settings.sources.events)} gave {_account(found)} "
            f"from {night.start:%Y-%m-%d %H:%M} to {night.as_of:%Y-%m-%d %H:%M} UTC"
        )


def _account(found: Extracted[Events] | Extracted[Items]) -> str:
    """What became of the rows, in words."""
    lost = added(found.rejected, found.filtered)
    return f"{found.read} rows" + (f" ({_listed(lost)})" if lost else "")


def _listed(counted: dict[str, int]) -> str:
    return ", ".join(f"{reason} {rows}" for reason, rows in counted.items())
