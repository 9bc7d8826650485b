"""
Cheaper encoder training at equal quality: python -m benchmarks.frontier --shop FILE --night DATE --out FILE.json

Every variant is the night's own step `finetune_encoder`, from scratch, on the same data: frozen lower layers, low-rank
adapters, or a model of the base's first layers only. The quality is told twice: by the encoder gate, each variant
against its own base, whitened; and by the 28 days behind the night, in lists of what is new to the shopper that the
night's text vectors alone make, each variant against the untuned base (a variant that its gate refuses serves what it
began from). The size is that of the weights, and the cost CPU time (user and system, with the training's own
processes). Last, what int8 saves in encoding the shop's texts, and how many neighbours it loses.
"""

import argparse
import json
import resource
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.command import finish, homes, shop_parser
from benchmarks.home import Home, open_home, shop_settings
from benchmarks.intervals import Figure, Resampled
from benchmarks.isolated import measured
from benchmarks.metrics import scores
from benchmarks.night import remembered
from benchmarks.results import RESAMPLES
from benchmarks.smaller import first_layers, int8_figures, weights_mb
from benchmarks.systems import own_lists
from benchmarks.time_split import MAX_USERS, Question
from recsys_tasks.calendar import parse_night
from recsys_tasks.errors import SettingsError
from recsys_tasks.files import write_whole
from recsys_tasks.model.encoder import base_folder
from recsys_tasks.steps import build_pairs, encode_items, finetune_encoder
from recsys_tasks.steps.job import Job

Row = dict[str, Any]
BASE = "untuned"
# What the lists are scored by: the days behind the night, as in the time split.
DAYS, METRIC = 28, "NDCG@10"
# Adapters start from nothing and want about ten times the learning rate of the weights themselves.
LORA = ("encoder.lora.rank=8", "encoder.learning_rate=3e-4")


@dataclass(frozen=True)
class Variant:
    """A name and its settings; ``layers`` of the base are left, or all."""

    name: str
    overrides: tuple[str, ...] = ()
    layers: int | None = None


VARIANTS = (
    Variant(BASE, ("encoder.enabled=false",)),
    *(Variant(f"frozen {count}", (f"encoder.frozen_layers={count}",)) for count in (0, 2, 3, 4, 5)),
    *(Variant(f"LoRA, frozen {count}", (f"encoder.frozen_layers={count}", *LORA)) for count in (0, 3)),
    # Half of what is left learns, as half of the six layers does.
    *(Variant(f"first {count}", (f"encoder.frozen_layers={count // 2}",), count) for count in (2, 3, 4)),
)
CONTRASTS = (
    "info_nce",
    "nt_xent",
    "multi_positive",
    "debiased",
    "hard_negatives",
    "sampled_softmax",
    "corrected_softmax",
    "cross_batch",
    "moco",
    "byol",
    "triplet",
    "squared",
)
# What is learned, not how cheaply: only where they are asked for.
OBJECTIVES = (
    *(
        Variant(f"pairs {name}", ("encoder.objective=pairs", f"encoder.contrast.objective={name}"))
        for name in CONTRASTS
    ),
    *(
        Variant(f"views {name}", ("encoder.objective=views", f"encoder.contrast.objective={name}"))
        for name in ("nt_xent", "byol")
    ),
    *(Variant(f"{steps} steps", (f"encoder.steps={steps}",)) for steps in (30, 120)),
)


def chosen(names: list[str] | None) -> list[Variant]:
    """Those of the names, VARIANTS where none is given; raises SettingsError for a name that no variant has."""
    known = {variant.name: variant for variant in (*VARIANTS, *OBJECTIVES)}
    unknown = sorted(set(names or ()) - known.keys())
    if unknown:
        raise SettingsError(f"--variants {', '.join(unknown)}: no such variant; known: {', '.join(known)}")
    return list(VARIANTS) if names is None else [known[name] for name in names]


def home_of(given: argparse.Namespace, variant: Variant) -> Home:
    """The shop's home under the variant's settings; a smaller base is made beside it."""
    settings = shop_settings(given.shop, given.set)
    overrides = [*given.set, "encoder.every_nights=1", *variant.overrides]
    if variant.layers is not None:
        smaller = (
            homes(given) / "bases" / f"{settings.encoder.base.strip('/').replace('/', '-')}-{variant.layers}"
        )
        if not (smaller / "config.json").is_file():
            first_layers(base_folder(settings.encoder.base), variant.layers, smaller)
        overrides.append(f"encoder.base={smaller.absolute()}")
    return open_home(shop_settings(given.shop, overrides), homes(given))


def tuned(job: Job) -> dict[str, Any]:
    """What the step told, with ``cpu``: its CPU seconds when it was made."""
    build_pairs.run(job)
    # The base's vectors come from the cache in every variant alike.
    finetune_encoder.run(_untuned(job))
    before = _cpu_seconds()
    facts = finetune_encoder.run(job)
    spent = {"cpu": _cpu_seconds() - before}
    return {**facts, **remembered(job, f"frontier-{facts['artefact']}", facts["reused"], spent)}


def behind(home: Home, cut: date) -> pl.DataFrame:
    """user_id and NDCG@10 of the 28 days from ``cut``: what is new to the shopper, by the night's vectors alone."""
    question = Question.at(home, cut, [DAYS], MAX_USERS)
    refs = {"vectors": encode_items.run(question.scene.job)["artefact"]}
    lists = own_lists("ours-text", question.scene, question.users, refs)["new"]
    return scores(lists, question.wanted[DAYS].filter("is_new")).select("user_id", METRIC)


def _untuned(job: Job) -> Job:
    encoder = job.settings.encoder.model_copy(update={"enabled": False})
    return replace(job, settings=job.settings.model_copy(update={"encoder": encoder}))


def _cpu_seconds() -> float:
    """Of this process and of the children it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def rows_of(variant: str, facts: dict[str, Any], size_mb: float) -> Iterator[Row]:
    """A row a figure; what the gate found has its interval."""
    yield row(variant, "size_mb", size_mb, "MB")
    yield row(variant, "cpu_seconds", facts["cpu"], "s")
    for name, metric in (("cold", "Recall@50"), ("warm", "NDCG@10")):
        # An encoder that was not tuned was not judged.
        if name in facts:
            judged = facts[name]
            yield row(variant, f"{name} {metric}", judged["tuned"])
            yield row(variant, f"{name} {metric} of the base", judged["frozen"])
            ahead = Figure(judged["difference"], judged["low"], judged["high"])
            yield row(variant, f"{name} {metric} ahead", ahead)


def list_rows(variant: str, mine: pl.DataFrame, base: pl.DataFrame, seed: int) -> Iterator[Row]:
    """What its lists reach, and how far that is ahead of the untuned base's (paired): frames of ``behind``."""
    both = mine.join(base, on="user_id", suffix=" of the base", validate="1:1")
    values = both.drop("user_id").to_numpy().astype("float64")
    drawn = Resampled.of(both["user_id"], values, RESAMPLES, seed)
    yield row(variant, f"new {METRIC}", drawn.mean(0))
    if variant != BASE:
        yield row(variant, f"new {METRIC} ahead", drawn.ahead(0, 1))


def row(system: str, metric: str, found: float | Figure, unit: str = "") -> Row:
    figure = found if isinstance(found, Figure) else None
    digits = 1 if unit in ("MB", "s") else 4
    return {
        "system": system,
        "metric": metric,
        "value": round(found.value if isinstance(found, Figure) else found, digits),
        "ci_low": figure and round(figure.low, digits),
        "ci_high": figure and round(figure.high, digits),
        "unit": unit,
    }


def int8_rows(home: Home, cut: date) -> list[Row]:
    """Of all texts of the catalogue as of the cut."""
    encoder = home.settings.encoder
    texts = home.job(cut).lake.snapshot(home.job(cut).night.as_of).items["text"].unique().sort().to_list()
    found = measured(int8_figures, base_folder(encoder.base), texts, encoder.max_tokens).result
    return [
        row("int8", "ratio_encode", found["cpu_fp32"] / found["cpu_int8"], "x"),
        row("int8", "kept_neighbours@10", found["kept_neighbours"]),
    ]


def measure(given: argparse.Namespace) -> list[Row]:
    # A night ends where the day behind it begins.
    cut = parse_night(given.night) + timedelta(days=1)
    # A run of some variants replaces their own rows only.
    goes_on = given.variants is not None and given.out.is_file()
    known = json.loads(given.out.read_text(encoding="utf-8")) if goes_on else []
    rows: list[Row] = []
    base = _told_and_scored(home_of(given, VARIANTS[0]), cut)[1]
    for variant in chosen(given.variants):
        home = home_of(given, variant)
        facts, mine = _told_and_scored(home, cut)
        rows += rows_of(variant.name, facts, weights_mb(base_folder(home.settings.encoder.base)))
        rows += list_rows(variant.name, mine, base, home.settings.seed)
        _write(given.out, merged(known, rows))
    rows += int8_rows(home_of(given, VARIANTS[0]), cut)
    _write(given.out, merged(known, rows))
    return rows


def _told_and_scored(home: Home, cut: date) -> tuple[dict[str, Any], pl.DataFrame]:
    """What the step told of the night before ``cut``, and ``behind``."""
    with home.alone(cut):
        return measured(tuned, home.job(cut)).result, measured(behind, home, cut).result


def merged(known: list[Row], rows: list[Row]) -> list[Row]:
    """The measured rows behind the known ones of all other systems."""
    measured_now = {one["system"] for one in rows}
    return [*(one for one in known if one["system"] not in measured_now), *rows]


def _write(out: Path, rows: list[Row]) -> None:
    """After each variant: a run that is cut off has told what it found."""
    write_whole(out, "[\n" + ",\n".join(json.dumps(one) for one in rows) + "\n]\n")


def show(rows: list[Row]) -> None:
    for one in rows:
        interval = "" if one["ci_low"] is None else f"[{one['ci_low']:+.4f}, {one['ci_high']:+.4f}]"
        print(f"{one['system']:24} {one['metric']:30} {one['value']:>10,} {one['unit']:3} {interval}")


def main(arguments: list[str] | None = None) -> int:
    parser = shop_parser("frontier", __doc__)
    only = "some only, e.g. 'frozen 3' 'frozen 5'; what --out holds of the others stays"
    parser.add_argument("--variants", nargs="+", metavar="NAME", help=only)
    parser.add_argument("--night", required=True, help="the night whose encoder is tuned, YYYY-MM-DD")
    return finish(measure, show, parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
