"""
python -m benchmarks.training_run SYSTEM FOLDER: one system's share of `benchmarks.training_speed`, in its own process.

Leaves {cpu, seconds, peak_mb} of the work, loading not counted, and what the work found in FOLDER/found.json.
"""

import json
import sys
from importlib import import_module
from pathlib import Path

from benchmarks.spent import spent

# Each system by module and function: the peers' modules are imported in their own environment only.
SYSTEMS = {
    "ours": ("training_ours", "train"),
    "ours-encode": ("training_ours", "vectors"),
    "ours-night": ("training_ours", "night"),
    "peer": ("peers.worker_training", "like_for_like"),
    "peer-default": ("peers.worker_training", "as_it_comes"),
    "peer-encode": ("peers.worker_training", "vectors"),
}


def main(system: str, folder: str) -> None:
    module, function = SYSTEMS[system]
    request = json.loads((Path(folder) / "request.json").read_text(encoding="utf-8"))
    work = getattr(import_module(f"benchmarks.{module}"), function)(Path(folder), request)
    found, cost = spent(work)
    (Path(folder) / "found.json").write_text(json.dumps({**cost, **found}), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
