"""A module in a process of its own, by the product's Python or by that of the peers (`make bench`)."""

import os
import subprocess
import sys
from pathlib import Path

from recsys_tasks.errors import MissingArtefact, TrainingFailed

CHECKOUT = Path(__file__).resolve().parents[1]
PEERS_PYTHON = CHECKOUT / ".venv-bench" / "bin" / "python"


def has_peers() -> bool:
    return PEERS_PYTHON.is_file()


def run_module(name: str, module: str, *arguments: str, peers: bool) -> str:
    """
    What ``python -m module arguments`` prints; ``peers`` says by whose Python, ``name`` whose work it is.

    MissingArtefact where the peers' environment has not been made, TrainingFailed, with its last words, where the
    worker failed.
    """
    if peers and not has_peers():
        raise MissingArtefact(f"{name} needs an environment of its own ({PEERS_PYTHON}): run `make bench`")
    done = subprocess.run(
        [str(PEERS_PYTHON) if peers else sys.executable, "-m", module, *arguments],
        cwd=CHECKOUT,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise TrainingFailed(f"{name}: the worker ended with {done.returncode}: {done.stderr[-2_000:]}")
    return done.stdout


def _environment() -> dict[str, str]:
    """Without whatever leads to another Python's packages; idle threads sleep."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**others, "OMP_WAIT_POLICY": "PASSIVE", "PYTHONDONTWRITEBYTECODE": "1"}
