"""DAG files as Airflow sees them, loaded in a process of their own, and a place for Airflow to write to."""

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.airflow_home import ROOT, environment_in

DAGS = ROOT / "dags"
SHOP = ROOT / "examples" / "template" / "shop.yaml"
DAG_IDS = sorted(file.stem for file in DAGS.glob("*.py"))

# Airflow writes its configuration where this points as soon as it is imported: never into somebody's home.
AIRFLOW_HOME = tempfile.mkdtemp(prefix="airflow-test-")
os.environ["AIRFLOW_HOME"] = AIRFLOW_HOME
atexit.register(shutil.rmtree, AIRFLOW_HOME, ignore_errors=True)
# As Airflow does: its folders of DAGs and of plugins are importable.
sys.path[:0] = [str(DAGS), str(ROOT / "plugins")]


def load(home: Path, names: Sequence[str] = DAG_IDS, folder: Path = DAGS) -> subprocess.CompletedProcess[str]:
    """Load DAG files, away from this process and from each other."""
    environment = environment_in(home)
    return subprocess.run(
        [sys.executable, "-m", "tests.dags.facts", *names],
        env={
            **environment,
            "RECSYS_SHOP": str(SHOP),
            "PYTHONPATH": f"{environment['PYTHONPATH']}{os.pathsep}{folder}",
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="session")
def dags(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """dag_id -> what its file says."""
    done = load(tmp_path_factory.mktemp("airflow"))
    assert done.returncode == 0, f"a DAG file does not load:\n{done.stderr[-3000:]}"
    facts: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return facts
