"""The house rules for DAGs; each message tells the author what to do."""

import json
from itertools import pairwise

import pytest

from recsys_tasks.steps import NIGHT_STEPS
from tests.dags.conftest import DAG_IDS, ROOT, load
from tools.embedded import POOLS

HEAVY = {
    "torch",
    "transformers",
    "polars",
    "faiss",
    "deltalake",
    "lightgbm",
    "pandas",
    "pyarrow",
    "dataframely",
}
PARSE_CPU_SECONDS = 2.0
EVERY_DAG = pytest.mark.parametrize("dag_id", DAG_IDS)


def test_the_dags_are_there():
    assert {"recsys_nightly", "recsys_ingest", "recsys_measure", "recsys_rollback"} <= set(DAG_IDS)


@EVERY_DAG
def test_a_dag_is_named_as_its_file(dags, dag_id):
    assert dags[dag_id]["dag_id"] == dag_id


@EVERY_DAG
def test_a_dag_explains_itself(dags, dag_id):
    doc = dags[dag_id]["doc"] or ""
    assert doc.strip().startswith("### "), (
        f"{dag_id}: begin the docstring with a heading and pass doc_md=__doc__"
    )
    assert len(doc) > 200, f"{dag_id}: say what it makes, what a rerun does, what happens on failure"


@EVERY_DAG
def test_a_dag_is_tagged_and_does_not_catch_up(dags, dag_id):
    assert "recsys" in dags[dag_id]["tags"]
    assert dags[dag_id]["catchup"] is False, (
        f"{dag_id}: history is loaded by hand, never by switching a DAG on"
    )


@EVERY_DAG
def test_parsing_loads_nothing_heavy(dags, dag_id):
    heavy = HEAVY & set(dags[dag_id]["modules"])
    assert not heavy, f"{dag_id} imports {heavy} when it is parsed; import them inside the task"


@EVERY_DAG
def test_a_file_costs_the_parser_little(dags, dag_id):
    """Beyond ``airflow.sdk`` itself; the parser reads every file again and again, for as long as Airflow runs."""
    seconds = dags[dag_id]["cpu_seconds"]
    assert seconds < PARSE_CPU_SECONDS, (
        f"{dag_id}: {seconds:.1f} s of CPU to import; move work into the tasks"
    )


HEAVY_FILE = """
import time
import heavy_library
end = time.process_time() + 0.5
while time.process_time() < end: pass
"""
LIGHT_FILE = """
from datetime import datetime
from airflow.sdk import dag

@dag(start_date=datetime(2026, 1, 5))
def {name}(): pass
"""


def test_a_file_is_blamed_for_its_own_imports_only(tmp_path):
    (tmp_path / "heavy_library.py").touch()
    (tmp_path / "heavy.py").write_text(HEAVY_FILE + LIGHT_FILE.format(name="heavy"))
    (tmp_path / "light.py").write_text(LIGHT_FILE.format(name="light"))
    done = load(tmp_path, ["heavy", "light"], tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert "heavy_library" in found["heavy"]["modules"]
    assert "heavy_library" not in found["light"]["modules"]
    assert found["heavy"]["cpu_seconds"] >= 0.5 > found["light"]["cpu_seconds"]


@EVERY_DAG
def test_every_task_has_an_owner_a_limit_and_a_page(dags, dag_id):
    for name, task in dags[dag_id]["tasks"].items():
        assert task["owner"] == "recsys", f"{name}: use TASK_DEFAULTS"
        assert task["timeout"], f"{name}: may hang for ever; set execution_timeout or use TASK_DEFAULTS"
        assert (task["doc"] or "").strip(), f"{name}: has no docstring for the UI"


@EVERY_DAG
def test_every_task_follows_the_error_tree(dags, dag_id):
    for name, task in dags[dag_id]["tasks"].items():
        assert task["policy"], f"{name}: retries what cannot succeed; use TASK_DEFAULTS"
        assert 0 <= task["retries"] <= 3, f"{name}: {task['retries']} retries"


@EVERY_DAG
def test_every_pool_is_made_by_the_set_up(dags, dag_id):
    for name, task in dags[dag_id]["tasks"].items():
        known = {"default_pool", *POOLS}
        assert task["pool"] in known, (
            f"{name}: pool {task['pool']} does not exist, so it would never be scheduled"
        )


@EVERY_DAG
def test_a_failure_is_never_hidden(dags, dag_id):
    for name, task in dags[dag_id]["tasks"].items():
        assert task["trigger_rule"] == "all_success", f"{name}: a run is judged by its leaves"


@EVERY_DAG
def test_every_field_is_described_and_bounded(dags, dag_id):
    for name, param in dags[dag_id]["params"].items():
        schema = param["schema"]
        assert len(param["description"] or "") > 20, f"{dag_id}.{name}: describe it"
        title = schema.get("title") or ""
        assert title == name.capitalize() or title.endswith(f" ({name})"), (
            f"{dag_id}.{name}: its title must be the field's name, or end with it: docs and errors say the name"
        )
        bounds = {"format", "enum", "minimum", "maxLength"} & schema.keys()
        assert bounds, f"{dag_id}.{name}: bound it, so that a wrong value is refused in the form"


def test_the_night_has_exactly_the_steps_in_their_order(dags):
    tasks = dags["recsys_nightly"]["tasks"]
    assert sorted(tasks) == sorted(NIGHT_STEPS)
    assert tasks["check_data"]["upstream"] == ["extract_items"]
    assert tasks["extract_items"]["upstream"] == ["extract_events"]
    for before, after in pairwise(NIGHT_STEPS[2:]):
        assert tasks[after]["upstream"] == [before], f"{after} must follow {before}"


def test_one_night_at_a_time(dags):
    assert dags["recsys_nightly"]["max_active_runs"] == 1


@EVERY_DAG
def test_no_run_waits_in_silence_for_an_earlier_one(dags, dag_id):
    waiting = [name for name, task in dags[dag_id]["tasks"].items() if task["depends_on_past"]]
    assert not waiting, f"{waiting}: after one failed run by hand every later run would hang without a word"


def test_model_tasks_share_the_gpu(dags):
    pools = {name for name, task in dags["recsys_nightly"]["tasks"].items() if task["pool"] == "gpu"}
    assert pools == {"finetune_encoder", "encode_items", "train_towers", "train_ranker", "refit_towers"}


@pytest.mark.parametrize("dag_id", ["recsys_nightly", "recsys_ingest"])
def test_scheduled_dags_have_a_day_of_their_own(dags, dag_id):
    assert dags[dag_id]["timetable"] == "ShopTimetable", "a bare cron string has no interval"


def test_a_rollback_is_never_tried_twice(dags):
    assert dags["recsys_rollback"]["tasks"]["rollback"]["retries"] == 0


def test_helpers_are_not_taken_for_dags():
    assert "common/" in (ROOT / "dags" / ".airflowignore").read_text(encoding="utf-8").split()


@EVERY_DAG
def test_a_run_by_hand_has_tasks_when_the_schedule_has_ended(dags, dag_id):
    """Airflow leaves a task out of every run after the task's end, which is the DAG's where the task has none."""
    assert dags[dag_id]["end"] is None, (
        f"{dag_id}: runs by hand after end_date would be empty: end the timetable"
    )
    ending = [name for name, task in dags[dag_id]["tasks"].items() if task["end"]]
    assert not ending, f"{dag_id}: {ending} would be left out of runs by hand after their end_date"
