"""
Items without history: a fold of the items is taken out of the log, and offered as launches of the last night.

  python -m benchmarks.cold_items --shop SHOP.yaml --cut 2011-11-11 --fold 0 --folds 6 --out FILE.json

Slices: "cold among cold" ranks the fold's items among themselves, "cold among all" among everything on offer; both
count the shoppers with history who took an item of the fold that was new to them. "new" and "all" are the final lists
on all targets; the metrics impressions@10 and hits@10 there tell which share of the first 10 places, and of
the hits among them, the fold's items have. JSON as of the time split.
"""

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from benchmarks import cuts
from benchmarks.command import finish, homes, shop_parser
from benchmarks.fold import Fold, FoldHome, fold_home
from benchmarks.home import Home, open_home, shop_settings
from benchmarks.isolated import measured
from benchmarks.metrics import LENGTH, METRICS, scores, shares
from benchmarks.night import FittedNight, fit_night
from benchmarks.ours import OWN_ROWS, own_model, steps_left_out
from benchmarks.results import POOLED, SPLIT, Row, Spent, score_rows, write_rows
from benchmarks.scene import Scene, shoppers
from benchmarks.tables import cold
from recsys_tasks.errors import EmptyPartition
from recsys_tasks.evaluate.window import targets
from recsys_tasks.files import write_whole
from recsys_tasks.recommend.recommend import Recommender
from recsys_tasks.steps.job import Job

log = logging.getLogger(__name__)

SYSTEMS = ("ours", "ours-tower", "ours-text", "frozen-whitened", "frozen-encoder", "popularity-7")
AMONG_COLD, AMONG_ALL, NEW, ALL = "cold among cold", "cold among all", "new", "all"
MAX_USERS = 20_000

Lists = dict[str, pl.DataFrame]


def run(
    home: Home, cut: date, fold: Fold, days: int, asked: Sequence[str] = SYSTEMS
) -> tuple[list[Row], pl.DataFrame]:
    """Fit the night without the fold; the rows of the systems ``asked``, and every shopper's scores behind them."""
    made = fold_home(home, cut, fold)
    with made.home.alone(cut):
        return _scores(home, made, cut, days, asked)


def _scores(
    home: Home, made: FoldHome, cut: date, days: int, asked: Sequence[str]
) -> tuple[list[Row], pl.DataFrame]:
    job = made.home.job(cut)
    wanted = relevant(home.job(cut), Scene(job), made.held_out, days)
    if wanted[AMONG_COLD].is_empty():
        raise EmptyPartition(
            f"nobody took an item of the fold in the {days} days from {cut}: choose another fold or cut"
        )
    users = shoppers(wanted[ALL], MAX_USERS, job.settings.seed)
    log.info(
        "fold: %d items; %d shoppers took one", len(made.held_out), wanted[AMONG_COLD]["user_id"].n_unique()
    )
    night = fit_night(job, steps_left_out(asked))
    scored, costs, parts = [], {}, {}
    for system in asked:
        lists, costs[system, cut] = _measured_lists(system, job, users, made.held_out, night)
        scored += [_scored(system, name, lists[name], rows, cut, days) for name, rows in wanted.items()]
        parts[system] = {name: shares(lists[name], wanted[name], made.held_out) for name in (NEW, ALL)}
        log.info("%s: %s", system, parts[system])
    found = pl.concat(scored)
    rows = list(score_rows(found, costs, job.settings.seed))
    rows += share_rows(parts, wanted, made.held_out, len(Scene(job).offered), days)
    return rows, found


def relevant(whole: Job, scene: Scene, held_out: pl.Series, days: int) -> Lists:
    """
    What counts in each slice: user_id and item_id, of shoppers who have a history without the fold's items.

    What is new to a shopper is told by the whole log: who took an item of the fold before would buy it again, which
    nobody could foresee without those events; such rows count nowhere.
    """
    night = whole.night
    after = whole.lake.events_between(night.as_of, night.days_after_end(days))
    before = whole.lake.snapshot(night.as_of).events
    is_held = pl.col("item_id").is_in(held_out.implode())
    known = scene.snapshot.events["user_id"].unique()
    taken = targets(after, whole.settings.target_events, before, scene.offered).filter(
        pl.col("is_new") | ~is_held, pl.col("user_id").is_in(known.implode())
    )
    cold_ones = taken.filter(is_held)
    named = {AMONG_COLD: cold_ones, AMONG_ALL: cold_ones, NEW: taken.filter("is_new"), ALL: taken}
    return {name: rows.select("user_id", "item_id") for name, rows in named.items()}


def _measured_lists(
    system: str, job: Job, users: pl.Series, held_out: pl.Series, night: FittedNight
) -> tuple[Lists, Spent]:
    done = measured(make_lists, system, job, users, held_out, night.refs)
    seconds, peak, row = done.seconds, done.peak_mb, OWN_ROWS[system]
    if row.needs_night:
        seconds += night.seconds(row.steps_left_out)
        peak = max(peak, night.peak_mb(row.steps_left_out))
    return done.result, Spent(round(seconds, 2), peak)


def make_lists(system: str, job: Job, users: pl.Series, held_out: pl.Series, refs: dict[str, str]) -> Lists:
    """The row's lists for each slice; the model and the way to its lists are those of the time split."""
    context = Scene(job).context
    model = own_model(system, job, refs)
    is_held = context.items.is_in(held_out.implode()).to_numpy()
    only_cold = replace(context, allowed=np.asarray(context.allowed & is_held))
    whole, among = Recommender(model, context), Recommender(model, only_cold)
    new = whole.lists(users, LENGTH, new_only=True, explain=False)
    return {
        AMONG_COLD: among.lists(users, LENGTH, new_only=True, explain=False),
        AMONG_ALL: new,
        NEW: new,
        ALL: whole.lists(users, LENGTH, new_only=False, explain=False),
    }


def _scored(
    system: str, name: str, lists: pl.DataFrame, rows: pl.DataFrame, cut: date, days: int
) -> pl.DataFrame:
    return scores(lists, rows).select(
        pl.lit(cut).alias("cut"),
        pl.lit(days).alias("horizon"),
        pl.lit(name).alias("slice"),
        pl.lit(ALL if name == ALL else NEW).alias("target"),
        pl.lit(system).alias("system"),
        "user_id",
        *METRICS,
    )


def share_rows(
    parts: dict[str, dict[str, dict[str, float]]], wanted: Lists, held_out: pl.Series, offered: int, days: int
) -> Iterator[Row]:
    """Shares of the fold: in the lists and their hits; and, to compare with, in the offer and in what was taken."""
    for system, by_slice in parts.items():
        for name, told in by_slice.items():
            taken = wanted[name]["item_id"].is_in(held_out.implode()).sum() / max(len(wanted[name]), 1)
            for metric, value in {**told, "offer": len(held_out) / max(offered, 1), "taken": taken}.items():
                head = {"system": system, "split": SPLIT, "slice": name, "metric": f"share of {metric}"}
                figure = {"value": round(value, 6), "ci_low": None, "ci_high": None}
                cost = {"seconds": None, "peak_mb": None}
                where = {
                    "cut": POOLED,
                    "horizon": days,
                    "target": name,
                    "users": wanted[name]["user_id"].n_unique(),
                }
                yield {**head, **figure, **cost, **where, "against": None}


def main(arguments: Sequence[str] | None = None) -> int:
    return finish(_measure, cold, _parser().parse_args(arguments))


def _measure(given: argparse.Namespace) -> list[Row]:
    settings = shop_settings(given.shop, given.set)
    fold = Fold(given.fold, given.folds, settings.seed)
    home = open_home(settings, homes(given))
    cut = cuts.named([given.cut], home.first, home.last, given.horizon)[0]
    rows, found = run(home, cut, fold, given.horizon, given.systems)
    write_rows(given.out, rows)
    found.write_parquet(given.out.with_suffix(".scores.parquet"))
    facts: dict[str, Any] = {
        "cut": cut,
        "fold": str(fold),
        "settings": settings.model_dump(mode="json", exclude={"sources", "home", "database"}),
    }
    write_whole(given.out.with_suffix(".run.json"), json.dumps(facts, indent=1, default=str))
    return rows


def _parser() -> argparse.ArgumentParser:
    parser = shop_parser("cold_items", __doc__)
    parser.add_argument("--cut", required=True, help="the first day that is scored, YYYY-MM-DD")
    parser.add_argument("--fold", type=int, default=0, help="which fold of the items (default 0)")
    parser.add_argument("--folds", type=int, default=6, help="how many folds there are (default 6)")
    parser.add_argument("--horizon", type=int, default=28, help="days scored (default 28)")
    parser.add_argument(
        "--systems", nargs="+", choices=list(OWN_ROWS), default=list(SYSTEMS), help="rows to make"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
