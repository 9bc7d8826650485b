"""
Load DAG files as Airflow's parser does and say what came of them, as JSON; runs in a process of its own.

Like the parser it imports Airflow once and forks for every file, so that no file is blamed for what another imports.
"""

import json
import multiprocessing
import sys
import time
from importlib import import_module
from typing import Any

# What every file needs, before the forks; the package loads its parts when they are first asked for.
from airflow.sdk import DAG, Param  # noqa: F401
from airflow.sdk import dag as _dag  # noqa: F401
from airflow.sdk import task as _task  # noqa: F401

# A busy machine slows the first look; the quickest one is the file's own cost.
LOOKS = 3


def facts_of(name: str) -> dict[str, Any]:
    began = time.process_time()
    module = import_module(name)
    cpu_seconds = time.process_time() - began
    dag = getattr(module, name)()
    return {
        "cpu_seconds": cpu_seconds,
        "dag_id": dag.dag_id,
        "doc": dag.doc_md,
        "tags": sorted(dag.tags),
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "timetable": type(dag.timetable).__name__,
        "zone": str(dag.timezone),
        "start": dag.start_date.isoformat(),
        "end": dag.end_date.isoformat() if dag.end_date else None,
        "params": {key: param_facts(dag.params.get_param(key)) for key in dag.params},
        "tasks": {task.task_id: task_facts(task) for task in dag.topological_sort()},
        "modules": sorted({module.split(".")[0] for module in sys.modules}),
    }


def param_facts(param: Any) -> dict[str, Any]:
    return {
        "description": param.description,
        "value": param.value if param.has_value else None,
        "schema": param.schema,
    }


def task_facts(task: Any) -> dict[str, Any]:
    return {
        "owner": task.owner,
        "doc": task.doc_md or task.python_callable.__doc__,
        "timeout": task.execution_timeout.total_seconds() if task.execution_timeout else None,
        "retries": task.retries,
        "policy": task.retry_policy.serialize() if task.retry_policy else None,
        "pool": task.pool,
        "end": task.end_date.isoformat() if task.end_date else None,
        "depends_on_past": task.depends_on_past,
        "trigger_rule": task.trigger_rule.value,
        "upstream": sorted(task.upstream_task_ids),
    }


def facts_of_all(names: list[str]) -> dict[str, dict[str, Any]]:
    """Every file loaded ``LOOKS`` times, each time in a process of its own; the quickest look counts."""
    found: dict[str, dict[str, Any]] = {}
    with multiprocessing.get_context("fork").Pool(processes=1, maxtasksperchild=1) as pool:
        for name, facts in zip(names * LOOKS, pool.map(facts_of, names * LOOKS, chunksize=1), strict=True):
            if name not in found or facts["cpu_seconds"] < found[name]["cpu_seconds"]:
                found[name] = facts
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(facts_of_all(sys.argv[1:])))
