"""
The time split: fit on everything before a cut, score what shoppers took behind it.

  python -m benchmarks.time_split --shop examples/online_retail/shop.yaml --cuts 3 --out online_retail.json

Every system sees the shop as of the cut and ranks all it may offer then. The row ``ours`` is the product's night of
the day before the cut, which keeps the last ``gate.days`` from its weights (but see ``towers.refit_epochs``); peers
learn from everything before the cut. See README.md beside this file.
"""

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

import polars as pl

from benchmarks import cuts, systems, tables
from benchmarks.command import add_cuts, finish, homes, shop_parser
from benchmarks.home import Home, open_home, shop_settings
from benchmarks.metrics import METRICS, scores, spread
from benchmarks.night import FittedNight, fit_night
from benchmarks.ours import OWN_ROWS, steps_left_out
from benchmarks.results import Row, Spent, score_rows, spread_rows, write_rows
from benchmarks.scene import Scene, shoppers
from benchmarks.slices import TARGETS, item_facts, slices
from benchmarks.systems import Made
from recsys_tasks.errors import EmptyPartition, MissingArtefact, SettingsError, TrainingFailed
from recsys_tasks.files import write_whole

log = logging.getLogger(__name__)

HORIZONS = (7, 28)
MAX_USERS = 20_000
SCORE_TYPES = dict.fromkeys(METRICS, pl.Float32)


@dataclass(frozen=True)
class Question:
    """What all systems are asked at a cut: ``users``; and per horizon what these took (``window.targets``)."""

    cut: date
    scene: Scene
    users: pl.Series
    wanted: dict[int, pl.DataFrame]

    @classmethod
    def at(cls, home: Home, cut: date, horizons: Sequence[int], max_users: int) -> "Question":
        """Raises EmptyPartition where nobody took anything behind the cut."""
        scene = Scene(home.job(cut))
        wanted = {days: scene.wanted(days) for days in horizons}
        users = shoppers(wanted[max(horizons)], max_users, home.settings.seed)
        if users.is_empty():
            raise EmptyPartition(
                f"nobody took an item on offer in the {max(horizons)} days from {cut}: nothing to score"
            )
        mine = pl.col("user_id").is_in(users.implode())
        return cls(cut, scene, users, {days: rows.filter(mine) for days, rows in wanted.items()})

    @cached_property
    def facts(self) -> pl.DataFrame:
        return item_facts(self.scene.snapshot, self.scene.offered, self.scene.job.settings.target_events)

    def scores(self, made: Made) -> Iterator[pl.DataFrame]:
        """Every shopper's scores in each slice and horizon (``results.KEYS`` and METRICS)."""
        for days, rows in self.wanted.items():
            for name, target, relevant in slices(rows, self.facts):
                yield scores(made.lists[target], relevant).select(
                    pl.lit(self.cut).alias("cut"),
                    pl.lit(days).alias("horizon"),
                    pl.lit(name).alias("slice"),
                    pl.lit(target).alias("target"),
                    pl.lit(made.system).alias("system"),
                    "user_id",
                    *(pl.col(metric).cast(kind) for metric, kind in SCORE_TYPES.items()),
                )


@dataclass
class Board:
    """What was found so far, cut by cut."""

    scores: list[pl.DataFrame] = field(default_factory=list)
    spreads: dict[tuple[str, str, date], dict[str, float]] = field(default_factory=dict)
    costs: dict[tuple[str, date], Spent] = field(default_factory=dict)
    users: dict[date, int] = field(default_factory=dict)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    """Why a peer has no row."""

    def begin(self, question: Question, night: FittedNight | None) -> None:
        """Note what is asked, and what the night's steps reported."""
        scene, cut = question.scene, question.cut
        log.info("cut %s: %d shoppers, %d items on offer", cut, len(question.users), len(scene.offered))
        self.users[cut] = len(question.users)
        self.facts[cut.isoformat()] = {
            "items_offered": len(scene.offered),
            "shoppers": len(question.users),
            "rules_left_out": scene.context.dropped,
            "night": None if night is None else {"steps": night.facts, "costs": night.costs},
            "chosen": {},
        }

    def add(self, question: Question, made: Made) -> None:
        """Score a row's lists."""
        cut, system = question.cut, made.system
        log.info("cut %s: %s in %.0f s, peak %.0f MB", cut, system, made.seconds, made.peak_mb)
        self.scores += list(question.scores(made))
        self.costs[system, cut] = Spent(made.seconds, made.peak_mb)
        for target, lists in made.lists.items():
            self.spreads[system, target, cut] = spread(lists, question.scene.offered)
        if made.chosen:
            self.facts[cut.isoformat()]["chosen"][system] = made.chosen

    def leave_out(self, system: str, why: str) -> None:
        """Drop a row at every cut: pooled figures compare the same shoppers for all rows."""
        log.warning("%s is left out: %s", system, why)
        self.left_out[system] = why
        self.scores = [part for part in self.scores if part["system"][0] != system]
        self.spreads = {key: told for key, told in self.spreads.items() if key[0] != system}
        self.costs = {key: spent for key, spent in self.costs.items() if key[0] != system}
        for facts in self.facts.values():
            facts["chosen"].pop(system, None)

    def rows(self, horizon: int, seed: int) -> list[Row]:
        """
        ``horizon``: the longest, in whose splits coverage and Gini stand.

        Raises MissingArtefact where every row was left out.
        """
        if not self.scores:
            raise MissingArtefact("; ".join(self.left_out.values()))
        found = score_rows(pl.concat(self.scores), self.costs, seed)
        return [*found, *spread_rows(self.spreads, self.users, self.costs, horizon)]


def run(
    home: Home, at: Sequence[date], horizons: Sequence[int], asked: Sequence[str], max_users: int = MAX_USERS
) -> Board:
    """Score the rows ``asked`` at each cut; see ``Board.rows`` for the figures."""
    board = Board()
    needs_night = any(name in OWN_ROWS and OWN_ROWS[name].needs_night for name in asked)
    for cut in at:
        with home.alone(cut):
            question = Question.at(home, cut, horizons, max_users)
            night = fit_night(question.scene.job, steps_left_out(asked)) if needs_night else None
            board.begin(question, night)
            for system in (name for name in asked if name not in board.left_out):
                _score(board, system, question, night)
    return board


def _score(board: Board, system: str, question: Question, night: FittedNight | None) -> None:
    """A peer that cannot run here (no environment, too little memory) is left out: the other rows took hours."""
    try:
        made = systems.make(system, question.scene, question.users, night)
    except (MissingArtefact, TrainingFailed) as failed:
        if system in OWN_ROWS:
            raise
        board.leave_out(system, str(failed))
    else:
        board.add(question, made)


def main(arguments: Sequence[str] | None = None) -> int:
    return finish(_measure, tables.show, _parser().parse_args(arguments))


def _measure(given: argparse.Namespace) -> list[Row]:
    horizons = sorted(set(given.horizons))
    if horizons[0] < 1:
        raise SettingsError(f"--horizons {horizons[0]} is out of range; give days from 1")
    seed = [] if given.seed is None else [f"seed={given.seed}"]
    settings = shop_settings(given.shop, [*given.set, *seed])
    asked = systems.names(given.systems)
    home = open_home(settings, homes(given))
    at = (
        cuts.named(given.cut, home.first, home.last, max(horizons))
        if given.cut
        else cuts.spread(home.first, home.last, given.cuts, max(horizons))
    )
    log.info("%s from %s to %s; cuts %s", settings.name, home.first, home.last, ", ".join(map(str, at)))
    board = run(home, at, horizons, asked, given.max_users)
    rows = board.rows(max(horizons), settings.seed)
    _write(given, board, rows, settings.model_dump(mode="json", exclude={"sources", "home", "database"}))
    return rows


def _write(given: argparse.Namespace, board: Board, rows: list[Row], settings: dict[str, Any]) -> None:
    """The rows; beside them every shopper's scores, and what was run with which settings and choices."""
    write_rows(given.out, rows)
    pl.concat(board.scores).write_parquet(given.out.with_suffix(".scores.parquet"))
    run_facts = {
        "targets": list(TARGETS),
        "settings": settings,
        "cuts": board.facts,
        "left_out": board.left_out,
    }
    write_whole(given.out.with_suffix(".run.json"), json.dumps(run_facts, indent=1, default=str))


def _parser() -> argparse.ArgumentParser:
    parser = shop_parser("time_split", __doc__)
    add_cuts(parser)
    parser.add_argument(
        "--horizons", type=int, nargs="+", default=list(HORIZONS), help="days scored (default 7 28)"
    )
    parser.add_argument("--systems", nargs="+", help="rows to make (default: all)")
    parser.add_argument("--seed", type=int, help="of models, samples and intervals (default: the shop's)")
    parser.add_argument(
        "--max-users", type=int, default=MAX_USERS, help=f"shoppers a cut (default {MAX_USERS})"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
