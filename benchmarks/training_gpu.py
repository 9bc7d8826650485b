"""
Training on one card against sentence-transformers: texts a second, and the share of the card's bf16 peak.

MiniLM, and a BERT-base of random weights (speed does not ask what weights say), on texts of exactly 32 tokens, so that
nobody pads, and from pairs without a common text. Of ours only the texts that a step encodes are counted (it draws 3 of
its 128 pairs twice, and encodes them once). What starting costs is taken out: a run of many steps less a run of few.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import titles
from benchmarks.flops import Shape, bf16_peak
from benchmarks.training_work import Row, row, run, write_work
from recsys_tasks.errors import SettingsError

log = logging.getLogger(__name__)

TOKENS = 32
# Titles in a text: the shortest has ten tokens.
JOINED = 4
FEW, MANY = 20, 120
TRAINERS = ("ours", "peer", "peer-default")
MINILM, BERT_BASE = Shape(6, 384, 1536), Shape(12, 768, 3072)


def gpu_rows(folder: Path, request: Callable[[int], dict[str, Any]], repeats: int) -> list[Row]:
    import torch

    if not torch.cuda.is_available():
        raise SettingsError("--device cuda: PyTorch finds no card here")
    card = torch.cuda.get_device_name()
    peak = bf16_peak(card)
    if peak is None:
        log.warning("%s: its bf16 peak is not in benchmarks/flops.py; no shares", card)
    models = {"minilm": (request(1)["model"], MINILM), "bert-base": (bert_base(folder, request), BERT_BASE)}
    rows = []
    for name, (model, shape) in models.items():

        def asked(steps: int, model: str = model) -> dict[str, Any]:
            return {**request(steps), "model": model, "device": "cuda", "max_tokens": TOKENS}

        seconds: dict[str, list[float]] = {system: [] for system in TRAINERS}
        distinct = write_work(folder, *long_pairs(), asked(MANY))
        for _ in range(repeats):
            for system in TRAINERS:
                seconds[system].append(_seconds(folder, system, asked))
        texts = {
            "ours": distinct,
            "peer": 2.0 * request(1)["pairs"],
            "peer-default": 2.0 * request(1)["pairs"],
        }
        rows += throughput(name, shape, seconds, texts=texts, peak=peak)
    return rows


def throughput(
    model: str,
    shape: Shape,
    seconds: dict[str, list[float]],
    *,
    texts: dict[str, float],
    peak: float | None,
) -> list[Row]:
    """``seconds`` are those of MANY - FEW steps, of ``texts`` encoded texts each."""
    steps = MANY - FEW
    pace = {system: steps * texts[system] / float(np.median(found)) for system, found in seconds.items()}
    rows = []
    for system, texts_a_second in pace.items():
        rows.append(row(system, f"texts_second {model}", round(texts_a_second, 1), "1/s"))
        if peak is not None:
            share = texts_a_second * TOKENS * shape.training_flops(TOKENS) / peak
            rows.append(row(system, f"bf16_share {model}", round(share, 4), ""))
    ratios = {"ratio_train": "peer", "ratio_train_default": "peer-default"}
    return rows + [
        row("ours", f"{name} {model}", round(pace["ours"] / pace[system], 2), "x")
        for name, system in ratios.items()
    ]


def bert_base(folder: Path, request: Callable[[int], dict[str, Any]]) -> str:
    """A BERT of BERT-base's size and MiniLM's vocabulary, of random weights."""
    from transformers import AutoTokenizer, BertConfig, BertModel

    target = folder / "bert-base"
    tokenizer = AutoTokenizer.from_pretrained(request(1)["model"], local_files_only=True)
    BertModel(BertConfig(vocab_size=len(tokenizer))).save_pretrained(target)
    tokenizer.save_pretrained(target)
    return str(target)


def _seconds(folder: Path, system: str, asked: Callable[[int], dict[str, Any]]) -> float:
    """Of MANY steps less FEW."""
    found = []
    for steps in (FEW, MANY):
        write_work(folder, *long_pairs(), asked(steps))
        found.append(float(run(system, folder, asked(steps))["seconds"]))
    return found[1] - found[0]


def long_pairs() -> tuple[list[str], np.ndarray, np.ndarray]:
    """Texts of more than TOKENS tokens, which every system cuts, and pairs that share none."""
    short = titles.distinct(titles.catalogue())
    texts = [" ".join(short[first : first + JOINED]) for first in range(0, len(short) - JOINED, JOINED)]
    anchor = np.arange(0, len(texts) - 1, 2)
    return texts, anchor, anchor + 1
