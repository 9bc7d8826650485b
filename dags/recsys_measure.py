"""
### Measure a past night

Scores what the models of a past night foresaw on the days that followed it. The night itself could not know those
days, and nothing here flows back into a gate: it is how a person checks that the gate's figures are honest.

Needs the night's artefacts (`recsys_nightly`) and the days after it in the lake (`recsys_ingest`). Running it again
gives the same figures.
"""

from airflow.sdk import dag
from common.defaults import TASK_DEFAULTS
from common.form import NIGHT
from common.schedule import shop_schedule
from common.steps import step


@dag(
    schedule=None,
    start_date=shop_schedule().first,
    catchup=False,
    default_args=TASK_DEFAULTS,
    doc_md=__doc__,
    tags=["recsys"],
    params={"night": NIGHT},
)
def recsys_measure() -> None:
    step("measure")


recsys_measure()
