from datetime import UTC, datetime
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from common.night import night_from, require_turn, resolve_night

from recsys_tasks.errors import Busy, NightOutOfRange, SettingsError

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


def context(**conf):
    """What Airflow hands a task of a run without logical date: no interval at all."""
    return {
        "params": {"night": None, **conf},
        "dag": SimpleNamespace(params={"night": None, "top_k": None}),
        "dag_run": SimpleNamespace(run_type="manual", conf=conf),
    }


def test_a_run_without_logical_date_takes_the_night_of_the_form():
    assert night_from(context(night="2017-12-03"), NEW_YORK) == "2017-12-03"


def test_a_misspelt_field_is_refused_with_the_fields_there_are():
    with pytest.raises(SettingsError, match=r"no field nigth; its fields are night, top_k"):
        night_from(context(nigth="2017-12-03"), NEW_YORK)


def turn(run_type, running):
    ti = SimpleNamespace(get_dr_count=lambda dag_id, states: running)
    dag_run = SimpleNamespace(run_type=run_type)
    return {"ti": ti, "dag": SimpleNamespace(dag_id="recsys_nightly"), "dag_run": dag_run}


def test_a_backfill_of_several_nights_at_once_is_refused():
    with pytest.raises(Busy, match="--max-active-runs 1"):
        require_turn(turn("backfill", running=10))


@pytest.mark.parametrize(("run_type", "running"), [("backfill", 1), ("scheduled", 2), ("manual", 2)])
def test_a_night_on_its_own_goes_on(run_type, running):
    require_turn(turn(run_type, running))
