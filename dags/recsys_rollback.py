"""
### Go back to earlier lists

Makes an earlier generation of lists live again, at once and in one step; its model becomes the champion again, so the
next night starts from it. Nothing is deleted: the generation that was live stays and can be made live again the same
way.

`python -m recsys_tasks generations` lists them: night, model, figures of the audit, which one is live. The last
`store.keep_generations` that were live can be gone back to. Who went back, when and why is kept with the move.
"""

from collections.abc import Mapping
from typing import Any

from airflow.sdk import Param, dag, get_current_context, task
from common.defaults import TASK_DEFAULTS
from common.night import refuse_unknown_fields
from common.schedule import shop_schedule
from common.steps import open_shop

GENERATION = Param(
    None,
    title="Generation",
    description="Number of the generation to make live. Empty: the one that was live before.",
    type=["null", "integer"],
    minimum=1,
)
WHY = Param(
    title="Why",
    description="A sentence for those who look at the history later; 3 to 200 characters.",
    type="string",
    minLength=3,
    maxLength=200,
)


def who_triggered(context: Mapping[str, Any]) -> str:
    """The person behind the button, where Airflow knows one, and the run."""
    person = getattr(context["dag_run"], "triggering_user_name", None)
    run = f"Airflow run {context['run_id']}"
    return f"{person} ({run})" if person else run


@dag(
    schedule=None,
    start_date=shop_schedule().first,
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    doc_md=__doc__,
    tags=["recsys", "operate"],
    params={"generation": GENERATION, "why": WHY},
)
def recsys_rollback() -> None:
    # Twice would go back two generations: a person decides whether to try again.
    @task(retries=0)
    def rollback() -> dict[str, Any]:
        """Move the pointer, and the champion with it."""
        from recsys_tasks.steps.rollback import roll_back

        context = get_current_context()
        refuse_unknown_fields(context)
        open_shop()
        params = context["params"]
        return roll_back(params["generation"], why=params["why"], who=who_triggered(context))

    rollback()


recsys_rollback()
