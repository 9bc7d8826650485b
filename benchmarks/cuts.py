"""
When a time split cuts the log: cuts lie so far apart that they meet different seasons.

The last cut leaves the longest horizon to score; the others lie before it, so that all of them fall into the later
half of the log and the earlier half is always there to learn from.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from recsys_tasks.calendar import parse_night
from recsys_tasks.errors import NightOutOfRange, SettingsError


def spread(first: datetime, last: datetime, count: int, horizon_days: int) -> list[date]:
    """
    ``count`` cuts, oldest first, for a log from ``first`` to ``last`` (instants of events, UTC).

    The last cut is the date of ``last`` less the horizon; the spacing is half of the log's span divided by
    ``count``, in whole days. A cut is the first day that is scored. Raises SettingsError where the log is too short.
    """
    if count < 1:
        raise SettingsError(f"--cuts {count} is out of range; give 1 or more")
    end = last.date() - timedelta(days=horizon_days)
    span = (last.date() - first.date()).days
    spacing = span // (2 * count)
    cuts = [end - timedelta(days=spacing * back) for back in reversed(range(count))]
    if spacing < 1 or cuts[0] <= first.date():
        raise SettingsError(
            f"the log has {span} days: too few for {count} cuts with {horizon_days} days behind the last; "
            "give fewer --cuts or shorter --horizons"
        )
    return cuts


def named(texts: Sequence[str], first: datetime, last: datetime, horizon_days: int) -> list[date]:
    """The cuts that were given by hand, in order; raises NightOutOfRange for one that cannot be scored."""
    cuts = sorted({parse_night(text) for text in texts})
    latest = last.date() - timedelta(days=horizon_days)
    for cut in cuts:
        if not first.date() < cut <= latest:
            raise NightOutOfRange(
                f"--cut {cut}: the log runs from {first.date()} to {last.date()} and {horizon_days} days are scored; "
                f"choose a cut from {first.date() + timedelta(days=1)} to {latest}"
            )
    return cuts
