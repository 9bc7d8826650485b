"""
Runs in the environment of `make bench`, not in the product's: python -m benchmarks.peers.worker FOLDER

Reads FOLDER/request.json and events.parquet (user, item as positions, weight; oldest first), trains with a public
library, and leaves users-NAME.npy (U, d) and items-NAME.npy (m, d), whose product is the score; a row of NaN is
what the model does not know. It knows nothing of the product: numbers in, numbers out.
"""

import json
import sys
from importlib import import_module
from pathlib import Path

MODULES = {
    "als": "worker_factors",
    "bpr": "worker_factors",
    "sasrec": "worker_sequences",
    "esasrec": "worker_sequences",
}


def main(folder: Path) -> None:
    """Do what the request says. Only what it needs is imported: a factor model must not wait for torch."""
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    import_module(f"benchmarks.peers.{MODULES[request['model']]}").run(folder, request)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
