"""
What each part is worth: the night with one part taken away or changed, against the night as it is.

  python -m benchmarks.ablation --shop examples/online_retail/shop.yaml --cuts 3 --out online_retail.ablation.json

Settings of one's own are compared by ``--vary``, as often as there are choices.

Every variant is a whole night of its own at every cut (same log, same seed), and its lists are compared shopper by
shopper with those of the night as it is: the paired difference, all cuts pooled. Rows as in ``results``; ``system`` is
"VARIANT: ours" or "VARIANT: ours-tower", ``against`` the row it is compared with.
"""

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from benchmarks import cuts
from benchmarks.command import add_cuts, finish, homes, shop_parser
from benchmarks.home import Home, open_home, shop_settings
from benchmarks.intervals import Resampled
from benchmarks.metrics import METRICS
from benchmarks.quality_tables import ablation as table
from benchmarks.results import RESAMPLES, SPLIT, Row, score_rows, write_rows
from benchmarks.slices import TARGETS
from benchmarks.time_split import run
from benchmarks.variants import BASE, SYSTEMS, VARIANTS, Variant, asked
from recsys_tasks.errors import SettingsError
from recsys_tasks.settings import Settings

log = logging.getLogger(__name__)

HORIZON = 28
# What is relevant, what may be offered, and whose lists are compared.
QUESTION = ("rules", "target_events", "seed")
COMPARED = ("NDCG@10", "Recall@20")


@dataclass(frozen=True)
class Trial:
    """A variant's scores at all cuts, and its rows."""

    scores: pl.DataFrame
    rows: list[Row]


def trial(home: Home, variant: Variant, at: Sequence[date], horizon: int, systems: Sequence[str]) -> Trial:
    board = run(home, at, [horizon], systems)
    scores = pl.concat(board.scores).with_columns(
        system=pl.format("{}: {}", pl.lit(variant.name), pl.col("system"))
    )
    costs = {(f"{variant.name}: {system}", cut): spent for (system, cut), spent in board.costs.items()}
    rows = score_rows(scores, costs, home.settings.seed)
    return Trial(scores, [row for row in rows if row["slice"] in TARGETS and row["split"] == SPLIT])


def compared(variant: str, mine: pl.DataFrame, base: pl.DataFrame, seed: int) -> Iterator[Row]:
    """How far a variant is ahead of the night as it is, paired by cut and shopper; a row a system, slice, metric."""
    keys = ["cut", "slice", "system", "user_id"]
    bare = pl.col("system").str.split(": ").list.last()
    both = mine.with_columns(system=bare).join(
        base.with_columns(system=bare), on=keys, suffix="_base", how="inner"
    )
    both = both.filter(pl.col("slice").is_in(list(TARGETS))).sort(keys)
    for (name, system), part in both.partition_by(
        "slice", "system", as_dict=True, maintain_order=True
    ).items():
        values = part.select(*METRICS, *(f"{metric}_base" for metric in METRICS)).to_numpy().astype("float64")
        drawn = Resampled.of(part["user_id"], values, RESAMPLES, seed)
        for metric in COMPARED:
            place = METRICS.index(metric)
            ahead = drawn.ahead(place, place + len(METRICS))
            yield {
                "system": f"{variant}: {system} - {system}",
                "split": SPLIT,
                "slice": name,
                "metric": metric,
                "value": round(ahead.value, 6),
                "ci_low": round(ahead.low, 6),
                "ci_high": round(ahead.high, 6),
                "seconds": None,
                "peak_mb": None,
                "cut": "pooled",
                "horizon": int(part["horizon"][0]),
                "target": name,
                "users": part["user_id"].n_unique(),
                "against": system,
            }


def main(arguments: Sequence[str] | None = None) -> int:
    return finish(_measure, _show, _parser().parse_args(arguments))


def _measure(given: argparse.Namespace) -> list[Row]:
    variants = settings_of(given)
    home = open_home(shop_settings(given.shop, given.set), homes(given))
    at = (
        cuts.named(given.cut, home.first, home.last, given.horizon)
        if given.cut
        else cuts.spread(home.first, home.last, given.cuts, given.horizon)
    )
    base = trial(home, BASE, at, given.horizon, given.systems)
    rows = [*base.rows]
    for variant, settings in variants:
        log.info("variant %s: %s", variant.name, " ".join(variant.changes))
        changed = open_home(settings, homes(given))
        other = trial(changed, variant, at, given.horizon, variant.systems)
        rows += [*other.rows, *compared(variant.name, other.scores, base.scores, settings.seed)]
        write_rows(given.out, rows)
    return rows


def settings_of(given: argparse.Namespace) -> list[tuple[Variant, Settings]]:
    """
    What is asked for, before anything is fitted.

    Raises SettingsError for a variant or a setting that does not exist, and for one that would change what is asked.
    """
    base = shop_settings(given.shop, given.set)
    found = [
        (variant, shop_settings(given.shop, [*given.set, *variant.changes]))
        for variant in asked(given.variants, given.systems, given.vary)
    ]
    for variant, settings in found:
        for name in QUESTION:
            if getattr(settings, name) != getattr(base, name):
                raise SettingsError(
                    f"--vary {variant.name}: {name} decides what is asked, and lists are compared on one question; "
                    "give it to both sides by --set"
                )
    return found


def _show(rows: list[Row]) -> None:
    for target in TARGETS:
        print(f'\nahead of the night as it is, "{target}"\n\n{table(rows, target)}')


def _parser() -> argparse.ArgumentParser:
    parser = shop_parser("ablation", __doc__)
    add_cuts(parser)
    parser.add_argument("--horizon", type=int, default=HORIZON, help=f"days scored (default {HORIZON})")
    names = ", ".join(repr(variant.name) for variant in VARIANTS)
    parser.add_argument("--variants", nargs="+", help=f"which (default: all): {names}")
    parser.add_argument(
        "--vary",
        nargs="+",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a variant by hand: settings that change together; may be repeated, and without --variants stands alone",
    )
    parser.add_argument(
        "--systems", nargs="+", choices=SYSTEMS, default=SYSTEMS, help="rows compared (default: both)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
