"""Which days a load of history takes: the one place that decides."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from common.night import BACKFILL, night_from, refuse_unknown_fields, run_type
from recsys_tasks.calendar import days_between, night_of, parse_night
from recsys_tasks.errors import SettingsError

# First and last day, both included, as ISO dates.
Days = tuple[str, str]


def days_from(context: Mapping[str, Any], zone: ZoneInfo) -> Days:
    """The days of a run, from its Airflow context."""
    refuse_unknown_fields(context)
    return resolve_days(
        first=context["params"].get("from"),
        last=context["params"].get("to"),
        run_type=run_type(context),
        interval_start=context.get("data_interval_start"),
        zone=zone,
        now=datetime.now(UTC),
    )


def nights_from(context: Mapping[str, Any], zone: ZoneInfo) -> list[str]:
    """The nights that a form with ``night``, or ``from`` and ``to``, means; raises as ``night_from`` and ``_given``."""
    first, last = (context["params"].get(name) for name in ("from", "to"))
    if not (first or last):
        return [night_from(context, zone)]
    if context["params"].get("night"):
        raise SettingsError("night was given together with from and to; leave one of them empty")
    begins, ends = days_from(context, zone)
    return [day.isoformat() for day in days_between(date.fromisoformat(begins), date.fromisoformat(ends))]


def resolve_days(
    *,
    first: str | None,
    last: str | None,
    run_type: str,
    interval_start: datetime | None,
    zone: ZoneInfo,
    now: datetime,
) -> Days:
    """
    The days the form names, else the run's own day.

    Raises NightOutOfRange for what is no date, SettingsError for a range that makes no sense.
    """
    if first or last:
        return _given(first, last, run_type, night_of(now, zone))
    if interval_start is None:
        raise SettingsError(
            "this run has no logical date, so no day of its own; fill in from and to (YYYY-MM-DD) and run it again"
        )
    own = night_of(interval_start, zone).isoformat()
    return own, own


def _given(first: str | None, last: str | None, run_type: str, today: date) -> Days:
    if run_type == BACKFILL:
        raise SettingsError(
            "from and to were given to a backfill; leave them empty: a backfill run takes its own day"
        )
    if not (first and last):
        raise SettingsError(f"a range needs both ends: from={first or 'empty'}, to={last or 'empty'}")
    begin, end = parse_night(first), parse_night(last)
    if end < begin:
        raise SettingsError(f"to={end} lies before from={begin}; exchange them")
    if end >= today:
        raise SettingsError(f"to={end} has not ended yet; the last full day is the one before {today}")
    return begin.isoformat(), end.isoformat()


def count_of(first: str, last: str, chunk_days: int) -> int:
    """How many tasks of at most ``chunk_days`` days a range needs."""
    days = (date.fromisoformat(last) - date.fromisoformat(first)).days + 1
    return -(-days // chunk_days)
