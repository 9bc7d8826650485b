"""
How fast a log comes in, against the drivers alone: python -m benchmarks.lake --out FILE.json [--rows 10000000]

``ours`` is the product's extraction: reading, mapping, contracts, duplicates, counts by day. ``ours read`` is the part
that a driver alone does. Every figure comes from a process of its own; ratios are from one run. The ADBC rows need the
environment of ``make bench``.
"""

import argparse
import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.environments import has_peers, run_module
from benchmarks.isolated import measured
from benchmarks.lake_log import FIRST, LAST, ZONE, events_of, fill_postgres, write_parquet
from recsys_tasks.calendar import day_start
from recsys_tasks.extract.events import extract_events
from recsys_tasks.extract.sources import read
from recsys_tasks.files import write_whole
from recsys_tasks.settings import EventSourceSettings
from recsys_tasks.store.embedded import embedded_url, stop_embedded

log = logging.getLogger(__name__)

Row = dict[str, Any]
QUERY = "SELECT who, what, did, at, paid FROM log WHERE at >= :start AND at < :end"
EVERYTHING = "SELECT who, what, did, at, paid FROM log"


def extract(source: EventSourceSettings) -> int:
    """Rows that became events."""
    return int(extract_events(source, FIRST, LAST, ZONE).clean.height)


def read_only(source: EventSourceSettings) -> int:
    """Rows that were read."""
    return int(read(source, day_start(FIRST, ZONE), day_start(LAST, ZONE)).height)


def scan_alone(file: Path) -> int:
    import polars as pl

    return int(pl.scan_parquet(file).collect().height)


def figures(system: str, rows: int, seconds: float, peak_mb: float) -> list[Row]:
    return [
        {"system": system, "metric": "rows", "value": rows, "unit": "rows"},
        {"system": system, "metric": "seconds", "value": round(seconds, 2), "unit": "s"},
        {"system": system, "metric": "speed", "value": round(rows / seconds), "unit": "rows/s"},
        {"system": system, "metric": "peak_mb", "value": round(peak_mb), "unit": "MB"},
    ]


def timed(system: str, function: Any, argument: Any) -> list[Row]:
    found = measured(function, argument)
    log.info("%s: %d rows in %.1f s, peak %.0f MB", system, found.result, found.seconds, found.peak_mb)
    return figures(system, found.result, found.seconds, found.peak_mb)


def parquet_rows(folder: Path, rows: int) -> list[Row]:
    """Figures of a Parquet file."""
    file = write_parquet(folder / "log.parquet", rows)
    source = events_of(kind="parquet", path=str(file))
    return [
        *timed("parquet: polars.scan_parquet alone", scan_alone, file),
        *timed("parquet: ours read", read_only, source),
        *timed("parquet: ours", extract, source),
    ]


def postgres_rows(folder: Path, rows: int) -> list[Row]:
    """Figures of a table in an embedded PostgreSQL."""
    with _server(folder) as url:
        fill_postgres(url, rows)
        os.environ["BENCH_LOG"] = url
        source = events_of(kind="sql", url="BENCH_LOG", query=QUERY)
        return [
            *_adbc(url),
            *timed("postgresql: ours read", read_only, source),
            *timed("postgresql: ours", extract, source),
        ]


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    home = folder / "postgres"
    try:
        yield embedded_url(home)
    finally:
        stop_embedded(home)


def _adbc(url: str) -> list[Row]:
    """polars.read_database_uri with ADBC, where its environment is there."""
    if not has_peers():
        log.warning("no ADBC figures: run `make bench` for its environment")
        return []
    driver = "postgresql: polars.read_database_uri (ADBC) alone"
    address = url.replace("+psycopg", "")
    told = run_module(driver, "benchmarks.peers.worker_lake", address, EVERYTHING, peers=True)
    return figures(driver, **json.loads(told))


def ratios(rows: list[Row]) -> list[Row]:
    """Our speed over that of the driver alone."""
    speed = {row["system"]: row["value"] for row in rows if row["metric"] == "speed"}
    found = []
    for system, value in speed.items():
        kind = system.split(":")[0]
        alone = next(
            (v for name, v in speed.items() if name.startswith(kind) and name.endswith("alone")), None
        )
        if alone is not None and not system.endswith("alone"):
            ratio = {"metric": "ratio_driver_alone", "value": round(value / alone, 3), "unit": "x"}
            found.append({"system": system, **ratio})
    return found


def show(rows: list[Row]) -> None:
    for row in rows:
        print(f"{row['system']:52} {row['metric']:20} {row['value']:>14,} {row['unit']}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.lake",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True, help="the JSON to write")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument(
        "--postgres-rows", type=int, help="rows in PostgreSQL (default: --rows; 0: without it)"
    )
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    folder = Path(tempfile.mkdtemp(prefix="recsys-bench-"))
    try:
        rows = parquet_rows(folder, given.rows)
        in_postgres = given.rows if given.postgres_rows is None else given.postgres_rows
        rows += postgres_rows(folder, in_postgres) if in_postgres else []
    finally:
        shutil.rmtree(folder)
    rows += ratios(rows)
    write_whole(given.out, json.dumps(rows, indent=1))
    show(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
