"""Ranges of business days that an operator asks for: what cannot be meant is refused before anything is read."""

from datetime import date, datetime

from recsys_tasks.calendar import parse_night, require_past
from recsys_tasks.errors import NightOutOfRange
from recsys_tasks.settings import Settings


def parse_range(first: str, last: str) -> tuple[date, date]:
    """Two ISO dates, both included; raises NightOutOfRange for what is no range."""
    begins, ends = parse_night(first), parse_night(last)
    if ends < begins:
        raise NightOutOfRange(f"the range {first} to {last} ends before it begins")
    return begins, ends


def past_days(settings: Settings, first: str, last: str, now: datetime) -> tuple[date, date]:
    """As ``parse_range``; raises NightOutOfRange too for days that have not ended, or lie behind the shop's log."""
    begins, ends = parse_range(first, last)
    require_in_log(settings, ends)
    require_past(settings.night(last), now)
    return begins, ends


def require_in_log(settings: Settings, day: date) -> None:
    """Refuse a day behind the last one of a log that has ended."""
    if settings.last_night is not None and day > settings.last_night:
        raise NightOutOfRange(
            f"the shop's log ends with {settings.last_night} (last_night in shop.yaml), and {day} lies behind it; "
            "choose an earlier day, or correct last_night"
        )
