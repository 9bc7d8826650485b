"""
Which night a run works on: the one place that decides.

* by hand: the form's ``night``
* by the schedule or a backfill: the day the run's interval begins on, in the shop's zone (``ds`` is the UTC day)
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from recsys_tasks.calendar import night_of, parse_night
from recsys_tasks.errors import Busy, SettingsError

BACKFILL = "backfill"


def night_from(context: Mapping[str, Any], zone: ZoneInfo) -> str:
    """
    The night of a run, from its Airflow context, as an ISO date.

    Read from ``params`` as it was typed: a rendered template would turn "123" into a number. Raises NightOutOfRange
    for what is no date, SettingsError for a misspelt field, for a backfill with a night, and where nothing names one.
    """
    refuse_unknown_fields(context)
    return resolve_night(
        given=context["params"].get("night"),
        run_type=run_type(context),
        # A run triggered without a logical date has no interval at all.
        interval_start=context.get("data_interval_start"),
        zone=zone,
    )


def resolve_night(
    *, given: str | None, run_type: str, interval_start: datetime | None, zone: ZoneInfo
) -> str:
    """The table behind ``night_from``; see tests/dags/test_night.py for its rows."""
    if given and run_type == BACKFILL:
        raise SettingsError(
            f"night={given} was given to a backfill, and every run of it would build that night; "
            "leave night empty: a backfill run takes its own day"
        )
    if given:
        return parse_night(given).isoformat()
    if interval_start is None:
        raise SettingsError(
            "this run has no logical date, so no day of its own; fill in night (YYYY-MM-DD) and run it again"
        )
    return night_of(interval_start, zone).isoformat()


def run_type(context: Mapping[str, Any]) -> str:
    """scheduled, manual, backfill, ..."""
    kind = context["dag_run"].run_type
    return str(getattr(kind, "value", kind))


def refuse_unknown_fields(context: Mapping[str, Any]) -> None:
    """Airflow takes any key in a run's conf; a misspelt field would quietly run with the default instead."""
    known = set(context["dag"].params)
    unknown = set(context["dag_run"].conf or {}) - known
    if unknown:
        raise SettingsError(
            f"the form has no field {', '.join(sorted(unknown))}; its fields are {', '.join(sorted(known))}"
        )


def require_turn(context: Mapping[str, Any]) -> None:
    """
    Refuse a backfill that builds several nights at once.

    A night may start from the model of the night before, and a backfill ignores the DAG's own limit of one run.
    """
    if run_type(context) != BACKFILL:
        return
    dag_id = context["dag"].dag_id
    running = context["ti"].get_dr_count(dag_id=dag_id, states=["running"])
    if running > 1:
        raise Busy(
            f"{running} runs of {dag_id} are going on, but nights follow one another: "
            "create the backfill with --max-active-runs 1"
        )
