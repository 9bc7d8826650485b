"""
How fast lists go live: one command, a JSON list of {system, metric, value, unit}.

    python -m benchmarks.publish --out out/publish.json

An embedded PostgreSQL and a SQLite file are made beside --out and removed again; the full sizes need 15 GB there.
"""

import argparse
import json
import logging
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.publish.measure import Sizes, measure_all
from recsys_tasks.files import write_whole
from recsys_tasks.store.embedded import stop_embedded


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser("benchmarks.publish", description=__doc__.split("\n\n")[0])
    made.add_argument("--out", type=Path, required=True, help="the JSON file")
    for name, default in Sizes().__dict__.items():
        flag = f"--{name.replace('_', '-')}"
        made.add_argument(flag, type=int, default=default, help=f"(default {default:,})")
    made.add_argument("--home", type=Path, help="where the databases are made (default: beside --out)")
    return made


@contextmanager
def home(beside: Path) -> Iterator[Path]:
    """A folder of our own; its server is stopped and all is deleted, however the run ends."""
    beside.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="publish-", dir=beside))
    try:
        yield folder
    finally:
        stop_embedded(folder / "postgres")
        shutil.rmtree(folder, ignore_errors=True)


def main(arguments: list[str] | None = None) -> int:
    given = vars(parser().parse_args(arguments))
    out, beside = given.pop("out"), given.pop("home")
    logging.basicConfig(level=logging.WARNING)
    # One that is told to end cleans up as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with home(beside or out.parent) as folder:
        rows = []
        for row in measure_all(folder, Sizes(**given)):
            rows.append(row)
            print(f"{row['system']:<12} {row['metric']:<28} {row['value']:>14,.6g} {row['unit']}", flush=True)
    lines = ",\n".join(json.dumps(row) for row in rows)
    write_whole(out, f"[\n{lines}\n]\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
