"""A step of ``recsys_tasks`` as an Airflow task: one lazy import, one call."""

import ast
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from airflow.sdk import XComArg, get_current_context, task

from common.connections import fill_environment
from common.defaults import lock_patience
from common.night import BACKFILL, night_from, require_turn, run_type
from recsys_tasks.settings import Settings, load_settings
from recsys_tasks.steps import NIGHT_STEPS

# What a task hands on: names and a few figures, never rows. The rest lies in the night's records.
HANDED_ON = ("step", "artefact", "reused", "seconds", "peak_mb")


def step(name: str, **arguments: Any) -> XComArg:
    """The task that runs ``recsys_tasks/steps/<name>.py`` for the run's night; its page is that module's docstring."""

    @task(task_id=name, doc_md=step_doc(name), **arguments)
    def body() -> dict[str, Any]:
        # Heavy libraries start their threads here, behind the fork, and never in the DAG parser.
        from recsys_tasks.steps.runner import run_step

        context = get_current_context()
        if name == NIGHT_STEPS[0]:
            require_turn(context)
        settings = open_shop()
        facts = run_step(
            name,
            night_from(context, settings.zone),
            options_from(context, name),
            wait_seconds=lock_patience(context["task"].execution_timeout),
        )
        return {key: facts[key] for key in HANDED_ON if key in facts}

    return body()


def measure_night(night: str, wait_seconds: float) -> dict[str, Any]:
    """The step ``measure`` for one of many nights."""
    from recsys_tasks.steps.runner import run_step

    open_shop()
    facts = run_step("measure", night, wait_seconds=wait_seconds)
    return {key: facts[key] for key in ("made_by", "users", "window")}


def open_shop() -> Settings:
    """The shop's settings, its secrets filled in from Airflow Connections."""
    settings = load_settings()
    fill_environment(settings)
    return settings


def options_from(context: Mapping[str, Any], name: str | None = None) -> Any:
    """
    What the form chose, as the steps take it; for the step ``publish``, with the lists that its own run made.

    A backfill works on the past: its lists are loaded and audited, but go live only where the form says so.
    """
    from recsys_tasks.steps.job import Options

    params = context["params"]
    return Options(
        from_step=params.get("from_step"),
        top_k=params.get("top_k"),
        publish=_publish(params.get("publish", "auto"), run_type(context)),
        start=params.get("start", "warm"),
        run_id=context["run_id"],
        lists=_handed_on(context) if name == "publish" else None,
    )


def _handed_on(context: Mapping[str, Any]) -> str | None:
    """The artefact of this run's ``recommend``: another run of the night may have made others since."""
    facts = context["ti"].xcom_pull(task_ids="recommend")
    return facts and facts["artefact"]


def _publish(chosen: str, kind: str) -> str:
    if chosen != "auto":
        return chosen
    return "dry_run" if kind == BACKFILL else "live"


def step_doc(name: str) -> str:
    """The docstring of the step's module, read without importing it."""
    package = find_spec("recsys_tasks.steps")
    if package is None or package.origin is None:
        return ""
    source = Path(package.origin).with_name(f"{name}.py")
    return ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
