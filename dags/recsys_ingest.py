"""
### Fill the lake

Loads events, and the catalogue with them, from the shop's sources. Loading a day replaces that day and nothing else:
running it twice, or many days at once, changes nothing.

**Scheduled or backfilled**, a run loads its own day in one task (`ingest`); the other one, `ingest_chunk`, has nothing
to do then and is skipped (pink), which is no fault. Days are independent, so a backfill may run many at once:

    make airflow ARGS="backfill create --dag-id recsys_ingest --from-date 2017-11-01 --to-date 2017-11-15"

`--to-date D` is midnight of D: with a schedule later in the day, day D itself is left out. Give the day after.

**By hand**, fill in `from` and `to`: the range is shared out among mapped tasks (`ingest_chunk`), so that a year loads
in about a dozen. A shop begins here: load its history, then run `recsys_nightly`, which extracts its own day itself.

**When a task fails**, what other tasks loaded stays. Clear the failed one to load it again. Rejected rows lie in the
shop's `quarantine` folder, each with its reason; too many of them stop the task before the lake is touched.
"""

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import Param, dag, get_current_context, task
from common.days import count_of, days_from
from common.defaults import TASK_DEFAULTS
from common.form import FROM, TO
from common.schedule import shop_schedule
from common.steps import open_shop

SCHEDULE = shop_schedule()
CHUNK_DAYS = Param(
    31,
    title="Days per task (chunk_days)",
    description="How many days of a range one task reads and keeps in memory, 1 to 366.",
    type="integer",
    minimum=1,
    maximum=366,
)


@dag(
    schedule=SCHEDULE.timetable,
    start_date=SCHEDULE.first,
    catchup=False,
    default_args=TASK_DEFAULTS,
    doc_md=__doc__,
    tags=["recsys", "history"],
    params={"from": FROM, "to": TO, "chunk_days": CHUNK_DAYS},
)
def recsys_ingest() -> None:
    @task
    def ingest() -> list[dict[str, Any]]:
        """Load the run's own day; for a range by hand, say which task takes which days."""
        from recsys_tasks.steps.ingest import chunks, run_range
        from recsys_tasks.steps.ranges import past_days

        context = get_current_context()
        settings = open_shop()
        first, last = days_from(context, settings.zone)
        # Of a range that goes too far, no task shall load the part that is there.
        past_days(settings, first, last, datetime.now(UTC))
        if first == last:
            run_range(first, last, settings=settings)
            return []
        pieces = chunks(first, last, count_of(first, last, context["params"]["chunk_days"]))
        # The catalogue is read once, with the newest days.
        return [{"first": begin, "last": end, "catalogue": end == last} for begin, end in pieces]

    @task(map_index_template="{{ days }}")
    def ingest_chunk(first: str, last: str, catalogue: bool) -> dict[str, Any]:
        """Load some days of a range, and with the newest of them the catalogue."""
        from recsys_tasks.steps.ingest import run_range

        get_current_context()["days"] = f"{first} to {last}"
        facts = run_range(first, last, catalogue=catalogue, settings=open_shop())
        return {key: facts[key] for key in ("first", "last", "events", "read")}

    # Without a range there is nothing to map, and the second task is skipped.
    ingest_chunk.expand_kwargs(ingest())


recsys_ingest()
