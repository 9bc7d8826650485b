"""
Runs in the environment of `make bench`: python -m benchmarks.peers.worker_lake URI QUERY

Reads a query by ADBC, and nothing else; prints {rows, seconds, peak_mb} as JSON.
"""

import json
import resource
import sys
import time

import polars as pl


def main(uri: str, query: str) -> None:
    began = time.perf_counter()
    rows = pl.read_database_uri(query, uri, engine="adbc").height
    seconds = time.perf_counter() - began
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    json.dump({"rows": rows, "seconds": seconds, "peak_mb": peak_mb}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
