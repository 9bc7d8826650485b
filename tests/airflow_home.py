"""A throw-away Airflow for tests that run a DAG for real: SQLite metadata, no servers."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
AIRFLOW = str(Path(sys.executable).with_name("airflow"))

# dag.test() runs the tasks in its own process, one after the other.
RUN = """
import json, sys
from importlib import import_module

dag_id, conf = sys.argv[1], json.loads(sys.argv[2])
run = getattr(import_module(dag_id), dag_id)().test(logical_date=None, run_conf=conf)
print("run", run.run_id, "ended", run.state)
sys.exit(run.state != "success")
"""


def environment_in(home: Path) -> dict[str, str]:
    """What Airflow needs to keep everything in ``home``."""
    return {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "dags", ROOT / "plugins"))),
        "OMP_WAIT_POLICY": "PASSIVE",
    }


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of an Airflow whose tables and pools exist; costs 20 s once."""
    environment = environment_in(tmp_path_factory.mktemp("airflow"))
    for arguments in (["db", "migrate"], ["pools", "set", "gpu", "1", "one model at a time"]):
        subprocess.run([AIRFLOW, *arguments], env=environment, check=True, capture_output=True)
    return environment


def run_dag(
    airflow: dict[str, str], shop: Path, dag_id: str, conf: dict[str, Any]
) -> subprocess.CompletedProcess[str]:
    """Run a DAG by hand with ``dag.test()``; the exit code is 0 where it succeeded."""
    return subprocess.run(
        [sys.executable, "-c", RUN, dag_id, json.dumps(conf)],
        env={**airflow, "RECSYS_SHOP": str(shop)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
