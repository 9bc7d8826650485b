from datetime import timedelta
from types import SimpleNamespace

import pytest
from common import steps
from common.defaults import lock_patience
from common.steps import options_from, step_doc

from recsys_tasks.errors import SettingsError
from recsys_tasks.steps import NIGHT_STEPS
from recsys_tasks.steps.job import Options


def context(run_type="manual", **params):
    return {"params": params, "run_id": "by_hand", "dag_run": SimpleNamespace(run_type=run_type)}


def test_the_form_becomes_the_options_of_the_steps():
    chosen = context(from_step="gate", top_k=5, publish="dry_run", start="scratch")
    assert options_from(chosen) == Options(
        from_step="gate", top_k=5, publish="dry_run", start="scratch", run_id="by_hand"
    )


def test_a_form_left_alone_changes_nothing():
    untouched = context(from_step=None, top_k=None, publish="auto", start="warm")
    assert options_from(untouched) == Options(run_id="by_hand")


def test_a_dag_without_these_fields_runs_with_the_defaults():
    assert options_from(context(night="2026-01-05")) == Options(run_id="by_hand")


@pytest.mark.parametrize("handed_on", [{"artefact": "lists/2026-01-05/abc", "seconds": 2.0}, None])
def test_publish_takes_what_its_own_run_made(handed_on):
    """None: a person marked ``recommend`` as done."""
    task = SimpleNamespace(xcom_pull=lambda task_ids: {"recommend": handed_on}[task_ids])
    chosen = options_from({**context(), "ti": task}, "publish")
    assert chosen.lists == (handed_on and "lists/2026-01-05/abc")
    assert options_from(context(), "recommend").lists is None


@pytest.mark.parametrize(
    ("run_type", "chosen", "publish"),
    [
        ("scheduled", "auto", "live"),
        ("manual", "auto", "live"),
        ("backfill", "auto", "dry_run"),
        ("backfill", "live", "live"),
        ("backfill", "dry_run", "dry_run"),
        ("manual", "dry_run", "dry_run"),
    ],
)
def test_a_backfill_goes_live_only_where_the_form_says_so(run_type, chosen, publish):
    assert options_from(context(run_type, publish=chosen)).publish == publish


@pytest.mark.parametrize(("run_type", "publish"), [("manual", "live"), ("backfill", "dry_run")])
def test_a_run_whose_form_has_no_such_field_publishes_as_if_left_alone(run_type, publish):
    assert options_from(context(run_type)).publish == publish


def test_a_step_that_does_not_exist_is_refused():
    with pytest.raises(SettingsError, match="no step"):
        options_from(context(from_step="bild_pairs"))


@pytest.mark.parametrize("name", NIGHT_STEPS)
def test_a_task_s_page_is_its_module_s_docstring(name):
    assert len(step_doc(name)) > 20


def test_a_task_waits_for_its_step_s_lock_within_its_own_time(monkeypatch):
    calls = []
    monkeypatch.setattr(
        "recsys_tasks.steps.runner.run_step",
        lambda name, night, options, **how: calls.append((name, night, how)) or {"step": name},
    )
    task = SimpleNamespace(execution_timeout=timedelta(hours=6))
    monkeypatch.setattr(steps, "get_current_context", lambda: {**context(), "task": task})
    monkeypatch.setattr(steps, "open_shop", lambda: SimpleNamespace(zone=None))
    monkeypatch.setattr(steps, "night_from", lambda context, zone: "2026-01-05")
    assert steps.step("build_pairs").operator.python_callable() == {"step": "build_pairs"}
    assert calls == [("build_pairs", "2026-01-05", {"wait_seconds": 5 * 3600 + 55 * 60})]


@pytest.mark.parametrize("limit", [None, timedelta(minutes=2)])
def test_a_task_without_time_to_wait_does_not(limit):
    assert lock_patience(limit) == 0
