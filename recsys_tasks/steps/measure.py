"""How the model that made a night's lists did on the days that followed: history knows them, the gate did not."""

from recsys_tasks.calendar import days_between, night_of
from recsys_tasks.errors import DataError
from recsys_tasks.evaluate.gate import POPULAR, REPEAT
from recsys_tasks.recommend.model import Model, PopularModel, RepeatModel
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.scoreboard import metric_rows, score_models
from recsys_tasks.steps.serving import serving_model
from recsys_tasks.workspace import Facts

# Days after a night that its lists are scored on.
DAYS = 7


def run(job: Job, days: int = DAYS) -> Facts:
    """
    The gate's table on the ``days`` after the night, for the model of the night's lists; kept in the store as well.

    Raises DataError naming the days that the lake does not hold yet, MissingArtefact where the night has no lists.
    """
    _require_days(job, days)
    lists = job.workspace.need("lists", job.night).metrics
    reference = lists["made_by"]
    models: dict[str, Model] = {
        reference: serving_model(job, lists["refs"], lists.get("refit")),
        POPULAR: PopularModel(),
        REPEAT: RepeatModel(),
    }
    end = job.night.days_after_end(days)
    board = score_models(job, models, reference, job.night.as_of, end)
    job.store.record_metrics(job.night.date, "measure", metric_rows(board.tables))
    return {
        "slices": board.tables,
        "users": board.users,
        "model": models[reference].ref,
        "made_by": reference,
        "days": days,
        "window": [job.night.as_of.isoformat(), end.isoformat()],
    }


def missing_days(job: Job, days: int = DAYS) -> list[str]:
    """Those of the ``days`` after the night that the lake does not hold."""
    first = night_of(job.night.as_of, job.night.zone)
    last = night_of(job.night.days_after_end(days - 1), job.night.zone)
    return [str(day) for day in days_between(first, last) if job.lake.day_record(day) is None]


def _require_days(job: Job, days: int) -> None:
    missing = missing_days(job, days)
    if missing:
        raise DataError(
            f"measuring night {job.night} needs the {days} days after it; the lake lacks {', '.join(missing)}: "
            "ingest them, or wait until they have passed"
        )
