from datetime import UTC, datetime
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from common.night import night_from, resolve_night

from recsys_tasks.errors import NightOutOfRange, SettingsError

SHANGHAI = ZoneInfo("Asia/Shanghai")
NEW_YORK = ZoneInfo("America/New_York")


def at(text: str, zone: ZoneInfo) -> datetime:
    """A wall clock time in a zone, as Airflow hands it over: in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


@pytest.mark.parametrize(
    ("why", "given", "run_type", "begins", "zone", "night"),
    [
        ("by hand", "2017-12-03", "manual", None, NEW_YORK, "2017-12-03"),
        (
            "by hand, with an interval",
            "2017-12-03",
            "manual",
            at("2026-01-05 03:30", NEW_YORK),
            NEW_YORK,
            "2017-12-03",
        ),
        ("scheduled", None, "scheduled", at("2026-01-05 03:30", NEW_YORK), NEW_YORK, "2026-01-05"),
        (
            "east of UTC before dawn",
            None,
            "scheduled",
            at("2026-01-05 01:30", SHANGHAI),
            SHANGHAI,
            "2026-01-05",
        ),
        (
            "west of UTC before midnight",
            None,
            "scheduled",
            at("2026-01-05 23:30", NEW_YORK),
            NEW_YORK,
            "2026-01-05",
        ),
        (
            "the day clocks go forward",
            None,
            "scheduled",
            at("2026-03-08 03:30", NEW_YORK),
            NEW_YORK,
            "2026-03-08",
        ),
        (
            "the day clocks go back",
            None,
            "scheduled",
            at("2026-11-01 01:30", NEW_YORK),
            NEW_YORK,
            "2026-11-01",
        ),
        ("backfill", None, "backfill", at("2017-11-05 03:30", NEW_YORK), NEW_YORK, "2017-11-05"),
        ("by hand, night left empty", "", "manual", at("2026-01-05 03:30", NEW_YORK), NEW_YORK, "2026-01-05"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
def test_the_night_of_a_run(why, given, run_type, begins, zone, night):
    assert resolve_night(given=given, run_type=run_type, interval_start=begins, zone=zone) == night


def test_a_backfill_refuses_a_night_that_all_its_runs_would_build():
    with pytest.raises(SettingsError, match="leave night empty"):
        resolve_night(
            given="2017-12-03",
            run_type="backfill",
            interval_start=at("2017-11-05 03:30", NEW_YORK),
            zone=NEW_YORK,
        )


def test_a_run_without_a_day_asks_for_one():
    with pytest.raises(SettingsError, match="fill in night"):
        resolve_night(given=None, run_type="manual", interval_start=None, zone=NEW_YORK)


@pytest.mark.parametrize("given", ["yesterday", "2017-13-01", "2017-02-29", "123", "None"])
def test_what_is_no_date_is_refused(given):
    with pytest.raises(NightOutOfRange, match="YYYY-MM-DD"):
        resolve_night(given=given, run_type="manual", interval_start=None, zone=NEW_YORK)


def test_the_context_of_a_run_without_logical_date_has_no_interval_at_all():
    context = {"params": {"night": "2017-12-03"}, "dag_run": SimpleNamespace(run_type="manual")}
    assert night_from(context, NEW_YORK) == "2017-12-03"
