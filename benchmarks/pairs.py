"""
What ten million events cost to become clean histories, pairs and negatives: python -m benchmarks.pairs --out FILE.json

``ours`` calls the functions of `build_pairs`; ``polars`` and ``pandas`` do the same work by their own means, to the
same rows, which is checked. Every run is a process of its own; the systems take turns, and figures are medians of the
CPU time (user and system, all threads), from a Parquet file of ids to arrays of codes. Lastly ours takes three times
the rows. pandas needs the environment of ``make bench``.
"""

import argparse
import json
import logging
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.environments import has_peers, run_module
from benchmarks.pairs_log import write_log
from recsys_tasks.errors import TrainingFailed
from recsys_tasks.files import write_whole

log = logging.getLogger(__name__)

Row = dict[str, Any]
SYSTEMS = ("ours", "polars", "pandas")
TIMES = 3


def run(system: str, file: Path) -> Row:
    """One process; cpu, seconds, peak_mb and the check sums of what it made."""
    told = run_module(system, "benchmarks.pairs_run", system, str(file), peers=system == "pandas")
    found: Row = json.loads(told)
    log.info("%s: CPU %.1f s, %.1f s, peak %.0f MB", system, found["cpu"], found["seconds"], found["peak_mb"])
    return found


def compared(runs: dict[str, list[Row]]) -> list[Row]:
    """The medians of every system, and how many times ours the others cost."""
    made = runs["ours"][0]["digest"]
    for system, found in runs.items():
        wrong = [name for one in found for name in made if one["digest"][name] != made[name]]
        if wrong:
            raise TrainingFailed(f"{system} made other rows than ours: {', '.join(sorted(set(wrong)))}")
    rows = [row for system, found in runs.items() for row in _figures(system, found)]
    ours = median(one["cpu"] for one in runs["ours"])
    for system in runs.keys() - {"ours"}:
        ratio = median(one["cpu"] for one in runs[system]) / ours
        rows.append(_row("ours", f"ratio_{system}", round(ratio, 2), "x"))
    return [*rows, *(_row("ours", name, made[name][0], "rows") for name in ("user", "pair user", "negative"))]


def linearity(small: list[Row], large: Row, times: int) -> list[Row]:
    """How many times the CPU time and memory that ``times`` the rows cost."""
    cpu = large["cpu"] / median(one["cpu"] for one in small)
    peak = large["peak_mb"] / median(one["peak_mb"] for one in small)
    size = f"{times}x rows"
    return [
        *_figures(f"ours, {size}", [large]),
        _row("ours", f"cpu_ratio {size}", round(cpu, 2), "x"),
        _row("ours", f"peak_ratio {size}", round(peak, 2), "x"),
    ]


def _figures(system: str, runs: list[Row]) -> list[Row]:
    middle = {name: median(one[name] for one in runs) for name in ("cpu", "seconds", "peak_mb")}
    return [
        _row(system, "cpu_seconds", round(middle["cpu"], 2), "s"),
        _row(system, "seconds", round(middle["seconds"], 2), "s"),
        _row(system, "peak_gb", round(middle["peak_mb"] / 1000, 2), "GB"),
    ]


def _row(system: str, metric: str, value: float, unit: str) -> Row:
    return {"system": system, "metric": metric, "value": value, "unit": unit}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pairs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True, help="the JSON to write")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-large", action="store_true", help=f"without {TIMES} times the rows")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    systems = [system for system in SYSTEMS if system != "pandas" or has_peers()]
    if "pandas" not in systems:
        log.warning("no pandas figures: run `make bench` for its environment")
    with tempfile.TemporaryDirectory(prefix="recsys-bench-") as folder:
        file = write_log(Path(folder) / "log.parquet", given.rows)
        runs: dict[str, list[Row]] = {system: [] for system in systems}
        for _ in range(given.repeats):
            for system in systems:
                runs[system].append(run(system, file))
        rows = compared(runs)
        if not given.no_large:
            large = write_log(Path(folder) / "large.parquet", TIMES * given.rows)
            rows += linearity(runs["ours"], run("ours", large), TIMES)
    write_whole(given.out, json.dumps(rows, indent=1))
    for row in rows:
        print(f"{row['system']:20} {row['metric']:22} {row['value']:>14,} {row['unit']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
