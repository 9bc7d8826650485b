"""
### Measure past nights

Scores what the model of a past night's lists foresaw on the days that followed it. The night itself could not know
those days, and nothing here flows back into a gate: it is how a person checks that the gate's figures are honest.

**One night:** fill in `night`. **A walk forward** over many, after a backfill of `recsys_nightly`: fill in `from` and
`to`; each night is a task of its own. The figures land in the serving database; one table of them all:

    python -m recsys_tasks --shop shop.yaml history 2017-11-20 2017-11-29

Needs each night's artefacts (`recsys_nightly`) and the days after it in the lake (`recsys_ingest`). Running it again
gives the same figures.
"""

from typing import Any

from airflow.sdk import dag, get_current_context, task
from common.days import nights_from
from common.defaults import TASK_DEFAULTS, lock_patience
from common.form import FROM, NIGHT, TO
from common.schedule import shop_schedule
from common.steps import measure_night, open_shop


@dag(
    schedule=None,
    start_date=shop_schedule().first,
    catchup=False,
    default_args=TASK_DEFAULTS,
    doc_md=__doc__,
    tags=["recsys", "history"],
    params={"night": NIGHT, "from": FROM, "to": TO},
)
def recsys_measure() -> None:
    @task
    def nights() -> list[str]:
        """Which nights the form means."""
        return nights_from(get_current_context(), open_shop().zone)

    # One after the other: each holds a model and the log in memory.
    @task(map_index_template="{{ night }}", max_active_tis_per_dagrun=1)
    def measure(night: str) -> dict[str, Any]:
        """Score one night's lists on the days behind it."""
        context = get_current_context()
        context["night"] = night
        return measure_night(night, lock_patience(context["task"].execution_timeout))

    measure.expand(night=nights())


recsys_measure()
