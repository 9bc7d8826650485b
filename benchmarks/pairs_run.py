"""
python -m benchmarks.pairs_run SYSTEM FILE: one system's share of `benchmarks.pairs`, in a process of its own.

Prints {cpu, seconds, peak_mb, digest} as JSON.
"""

import importlib
import json
import sys
import zlib

import numpy as np
import polars as pl

from benchmarks.peers.worker_pairs import SEED, Arrays, pandas, polars
from benchmarks.spent import spent


def ours(file: str) -> Arrays:
    from benchmarks.pairs_log import UNTIL, WEIGHTS
    from recsys_tasks.pairs.coding import code_log
    from recsys_tasks.pairs.negatives import coded_negatives
    from recsys_tasks.pairs.positives import coded_pairs
    from recsys_tasks.settings import PairSettings

    settings = PairSettings(max_pairs=10**12)
    log = code_log(pl.scan_parquet(file), WEIGHTS, UNTIL)
    pairs = coded_pairs(log, settings, UNTIL)
    drawn = coded_negatives(pairs.user, pairs.anchor, pairs.positive, log, settings, SEED)
    return {
        **{name: getattr(log.clean, name) for name in ("starts", "user", "at", "item", "kind")},
        **{f"pair {name}": getattr(pairs, name) for name in ("user", "anchor", "positive", "at")},
        "negative": drawn.negative,
    }


SYSTEMS = {"ours": ours, "polars": polars, "pandas": pandas}


def digest(arrays: Arrays) -> dict[str, list[int]]:
    """Length and check sum of every array: equal where every row is."""
    return {
        name: [
            len(array),
            sum(
                zlib.crc32(array[first : first + 10**6].astype(np.int64))
                for first in range(0, len(array), 10**6)
            ),
        ]
        for name, array in arrays.items()
    }


def main(system: str, file: str) -> None:
    # Importing is not what is measured.
    importlib.import_module({"ours": "recsys_tasks.pairs.negatives"}.get(system, system))
    arrays, cost = spent(lambda: SYSTEMS[system](file))
    json.dump({**cost, "digest": digest(arrays)}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
