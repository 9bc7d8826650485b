"""
Nights, instants and windows: the only date arithmetic there is.

A business day runs from midnight to midnight in the shop's zone (so it may have 23 or 25 hours);
instants are UTC.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from recsys_tasks.errors import NightOutOfRange

# A run may start late and be retried; what a source says after that is not what it said then.
FRESH_FOR = timedelta(days=2)


def parse_night(text: str) -> date:
    """An ISO date; anything else is refused."""
    try:
        return date.fromisoformat(text)
    except (TypeError, ValueError):
        raise NightOutOfRange(f"night {text!r} is not a date; write it as YYYY-MM-DD") from None


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """The instant a business day begins, in UTC."""
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def night_of(instant: datetime, zone: ZoneInfo) -> date:
    """The business day an instant falls on."""
    return instant.astimezone(zone).date()


def days_before(instant: datetime, days: int, zone: ZoneInfo) -> datetime:
    """The same time of day ``days`` business days earlier: a day of 23 or 25 hours counts as one day."""
    return (instant.astimezone(zone) - timedelta(days=days)).astimezone(UTC)


def days_between(first: date, last: date) -> Iterator[date]:
    """Every day from ``first`` to ``last``, both included."""
    for offset in range((last - first).days + 1):
        yield first + timedelta(days=offset)


@dataclass(frozen=True)
class Night:
    """One business date and the instants that follow from it."""

    date: date
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    gate_days: int = 7

    def __str__(self) -> str:
        return self.date.isoformat()

    @property
    def start(self) -> datetime:
        """The first instant of the night's own day."""
        return day_start(self.date, self.zone)

    @property
    def as_of(self) -> datetime:
        """The instant the night ends: nothing from this instant on may be used."""
        return day_start(self.date + timedelta(days=1), self.zone)

    @property
    def train_until(self) -> datetime:
        """The start of the honest window: weights are fitted on events before it."""
        return self.days_before_end(self.gate_days)

    def days_before_end(self, days: int) -> datetime:
        """The start of the business day ``days`` whole days before ``as_of``."""
        return day_start(self.date + timedelta(days=1 - days), self.zone)

    def days_after_end(self, days: int) -> datetime:
        """The end of the ``days`` business days that follow the night."""
        return day_start(self.date + timedelta(days=1 + days), self.zone)

    def shift(self, days: int) -> "Night":
        """The night ``days`` later (earlier where negative)."""
        return Night(self.date + timedelta(days=days), self.zone, self.gate_days)

    def is_every(self, nights: int) -> bool:
        """Whether a job done every ``nights`` nights falls on this one; by date, so a backfill repeats it."""
        return self.date.toordinal() % nights == 0


def is_fresh(night: Night, now: datetime) -> bool:
    """Whether a source that is read now still tells what it held when the night ended."""
    return now <= night.as_of + FRESH_FOR


def require_past(night: Night, now: datetime) -> None:
    """Refuse a night whose day has not ended yet."""
    if night.as_of > now:
        raise NightOutOfRange(
            f"night {night} has not ended: it ends at {night.as_of:%Y-%m-%d %H:%M} UTC; choose an earlier night"
        )
