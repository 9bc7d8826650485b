"""
What fine-tuning makes of a text encoder that was never tuned for similarity.

  python -m benchmarks.backbone --shop SHOP.yaml --out FILE.json

The backbone is the shop's own (``encoder.base``) with random weights and maybe fewer layers. The product's own steps
teach it, and the encoder gate's two questions tell how far it came: Recall@50 of texts held out of training (cold),
NDCG@10 of the others (warm), against the backbone as it started, both whitened, with paired 95 % intervals. Rows:
the linear map behind the encoder alone; tuned (the encoder, then that map); masked tokens of the catalogue alone;
masked tokens, then tuned. ``raw`` is the start before whitening, as plain unit vectors. Writes a list of {taught,
slice, raw, start, tuned, ahead, low, high, users, seconds, masked_loss_before, masked_loss_after, cut, layers}.
"""

import argparse
import json
import logging
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from benchmarks.command import finish, homes, shop_parser
from benchmarks.home import Home, open_home, shop_settings
from recsys_tasks.errors import EmptyPartition
from recsys_tasks.evaluate import encoder_gate
from recsys_tasks.files import write_whole
from recsys_tasks.model.encoder import TextEncoder, base_folder
from recsys_tasks.settings import EncoderSettings
from recsys_tasks.settings.backbone import AdaptSettings
from recsys_tasks.steps import build_pairs, finetune_encoder
from recsys_tasks.steps.cost import Cost
from recsys_tasks.steps.job import Job
from recsys_tasks.training.encoder_data import as_texts, held_out, known_texts
from recsys_tasks.workspace import Facts

log = logging.getLogger(__name__)

Row = dict[str, Any]

TUNED, PROJECTED = "tuned", "projection alone"
MASKED, BOTH = "masked tokens", "masked tokens, then tuned"
TAUGHT = (PROJECTED, TUNED, MASKED, BOTH)
METRIC = {"cold": "Recall@50", "warm": "NDCG@10"}
# Random weights want larger steps than pretrained ones.
LEARNING_RATE = 5e-4
# The least that the settings allow: a step that moves nothing.
STANDING_STILL = {"steps": 1, "learning_rate": 1e-12}


def run(home: Home, cut: date, base: Path, taught: str, steps: int, adapt_steps: int) -> list[Row]:
    """Teach the backbone at the night before ``cut``; a row for each slice of the encoder gate."""
    job = home.job(cut)
    encoder = recipe(job.settings.encoder, base, taught, steps, adapt_steps)
    job = replace(job, settings=job.settings.model_copy(update={"encoder": encoder}))
    with home.alone(cut):
        build_pairs.run(job)
        with Cost() as cost:
            facts = finetune_encoder.run(job)
        if "cold" not in facts:
            raise EmptyPartition(f"{facts['why']}: choose a later --cut than {cut}")
        # What was made by an earlier run cost nothing now, which is not what it costs.
        seconds = None if facts["reused"] else round(cost.seconds, 1)
        return rows_of(facts, raw_scores(job, base, facts), taught, seconds)


def recipe(
    settings: EncoderSettings, base: Path, taught: str, steps: int, adapt_steps: int
) -> EncoderSettings:
    """The shop's encoder settings with this base, all of whose layers learn."""
    changes: dict[str, Any] = {
        "base": str(base),
        "every_nights": 1,
        "frozen_layers": 0,
        "steps": steps,
        "learning_rate": LEARNING_RATE,
    }
    if taught in (PROJECTED, MASKED):
        changes |= STANDING_STILL
    if taught in (MASKED, BOTH):
        changes["adapt"] = AdaptSettings(steps=adapt_steps, learning_rate=LEARNING_RATE)
    if taught == MASKED:
        changes["projection_steps"] = 0
    return settings.model_copy(update=changes)


def raw_scores(job: Job, base: Path, facts: Facts) -> dict[str, float]:
    """The gate's two figures for the unit vectors of the base as it is, over the days that the gate asked about."""
    settings, night = job.settings, job.night
    cut = datetime.fromisoformat(facts["trained_before"])
    snapshot = job.lake.snapshot(night.as_of)
    before = snapshot.events.filter(pl.col("occurred_at") < night.train_until)
    events = as_texts(before, snapshot.items)
    texts = known_texts(events, cut, settings.event_weights)
    held = held_out(texts, settings.encoder.cold_share, settings.seed)
    trial = encoder_gate.trial(
        events,
        texts,
        held,
        cut=cut,
        until=night.train_until,
        weights=settings.event_weights,
        target_events=settings.target_events,
        seed=settings.seed,
    )
    encoder = TextEncoder.load(base, settings.encoder.max_tokens, pooling=settings.encoder.pooling)
    vectors = encoder.encode(texts.to_list())
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return {
        "cold": float(encoder_gate.recall(trial, vectors, held, encoder_gate.COLD_K).mean()),
        "warm": float(encoder_gate.ndcg(trial, vectors, ~held, encoder_gate.WARM_K).mean()),
    }


def rows_of(facts: Facts, raw: Mapping[str, float], taught: str, seconds: float | None) -> list[Row]:
    adaptation = facts.get("adaptation") or {}
    return [
        {
            "taught": taught,
            "slice": name,
            "raw": round(raw[name], 5),
            "start": facts[name]["frozen"],
            "tuned": facts[name]["tuned"],
            "ahead": facts[name]["difference"],
            "low": facts[name]["low"],
            "high": facts[name]["high"],
            "users": facts[name]["users"],
            "seconds": seconds,
            "masked_loss_before": adaptation.get("loss_before"),
            "masked_loss_after": adaptation.get("loss_after"),
        }
        for name in METRIC
    ]


def random_backbone(folder: Path, like: Path, layers: int, seed: int) -> Path:
    """A model built like the one in ``like``, with its tokenizer, random weights and so many layers."""
    import torch
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    made = folder / f"random-{layers}-{seed}"
    if not made.is_dir():
        scratch = made.with_suffix(".partial")
        shutil.rmtree(scratch, ignore_errors=True)
        config = AutoConfig.from_pretrained(like, local_files_only=True)
        config.num_hidden_layers = layers
        torch.manual_seed(seed)
        AutoModel.from_config(config).save_pretrained(scratch)
        AutoTokenizer.from_pretrained(like, local_files_only=True).save_pretrained(scratch)
        scratch.rename(made)
    return made


def show(rows: list[Row], console: Console | None = None) -> None:
    table = Table(
        title="A random backbone, as it started and as it was taught (both whitened; paired 95 % intervals)"
    )
    for heading in (
        "taught",
        "slice",
        "raw",
        "start",
        "after",
        "ahead",
        "95 %",
        "shoppers",
        "s",
        "masked loss",
    ):
        table.add_column(heading, justify="left" if heading in ("taught", "slice") else "right")
    for row in rows:
        table.add_row(
            row["taught"],
            f"{row['slice']} {METRIC[row['slice']]}",
            f"{row['raw']:.4f}",
            f"{row['start']:.4f}",
            f"{row['tuned']:.4f}",
            f"{row['ahead']:+.4f}",
            f"{row['low']:+.4f} to {row['high']:+.4f}",
            str(row["users"]),
            "" if row["seconds"] is None else f"{row['seconds']:.0f}",
            masked_loss(row),
        )
    (console or Console(width=140)).print(table)


def masked_loss(row: Row) -> str:
    before, after = row["masked_loss_before"], row["masked_loss_after"]
    return "" if before is None or after is None else f"{before:.2f} to {after:.2f}"


def main(arguments: Sequence[str] | None = None) -> int:
    return finish(_measure, show, _parser().parse_args(arguments))


def _measure(given: argparse.Namespace) -> list[Row]:
    settings = shop_settings(given.shop, given.set)
    home = open_home(settings, homes(given))
    cut = date.fromisoformat(given.cut) if given.cut else home.last.date() - timedelta(days=28)
    base = random_backbone(
        home.folder / "backbones", base_folder(settings.encoder.base), given.layers, settings.seed
    )
    rows: list[Row] = []
    for taught in given.taught:
        found = run(home, cut, base, taught, given.steps, given.adapt_steps)
        rows += [{**row, "cut": cut.isoformat(), "layers": given.layers} for row in found]
        log.info("%s: %s", taught, "; ".join(f"{row['slice']} {row['ahead']:+.4f}" for row in found))
        # As soon as it is known: a row takes minutes.
        write_whole(given.out, json.dumps(rows, indent=1))
    return rows


def _parser() -> argparse.ArgumentParser:
    parser = shop_parser("backbone", __doc__)
    parser.add_argument(
        "--cut", help="the night before this day is made, YYYY-MM-DD (default: 28 days before the last)"
    )
    parser.add_argument("--layers", type=int, default=3, help="layers of the backbone (default 3)")
    parser.add_argument("--steps", type=int, default=100, help="contrastive steps (default 100)")
    parser.add_argument("--adapt-steps", type=int, default=100, help="masked-token steps (default 100)")
    parser.add_argument("--taught", nargs="+", choices=TAUGHT, default=list(TAUGHT), help="rows to make")
    return parser


if __name__ == "__main__":
    sys.exit(main())
