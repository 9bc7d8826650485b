"""
The academic protocol: the next item of a history without times, every item of the catalogue ranked.

  python -m benchmarks.leave_one_out --sequences FILE.parquet --items FILE.parquet --out FILE.json

Both forms of file, and what may be learned from in each, are told in ``sequences/task.py``. The product (``ours``)
chooses epochs and weights on the validation targets, learning from what lies before them; then it learns again, for
as many epochs, from the validation targets too, and is scored on the test targets. Peers get the same two sets of
sequences; each chooses its hyper-parameters inside the set it was given. The validation figures of sasrec and esasrec
are left out: they would cost one more fit of minutes.

Slices: ``all``, the shopper's earlier items removed; ``all/seen-kept``, they may be listed; ``first``, where shoppers
have several rows, each one's first; ``cold/...`` see ``sequences/cold.py``. A target the shopper took before cannot
be listed in ``all`` and counts as missed, for every system. 95 % intervals by resampling shoppers.
"""

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.isolated import measured
from benchmarks.quality_tables import lists
from benchmarks.results import SPLIT, Row, Spent, write_rows
from benchmarks.sequences import cold, figures, systems
from benchmarks.sequences.encoded import encoded
from benchmarks.sequences.figures import Slice
from benchmarks.sequences.systems import Answers
from benchmarks.sequences.task import Asked, Task, read_task
from benchmarks.sequences.texts import item_texts
from recsys_tasks.errors import DataError, MissingArtefact, RecsysError, SettingsError, TrainingFailed
from recsys_tasks.files import write_whole
from recsys_tasks.training.sequences import Choice

log = logging.getLogger(__name__)

OWN = ("ours-tower", "ours")
READING = ("frozen-encoder", "ours-text", *OWN)
ROWS = ("popularity", "frozen-encoder", "ours-text", *systems.SHOWN_PEERS, *OWN)


@dataclass
class Board:
    """What was found so far."""

    task: Task
    answers: Answers = field(default_factory=dict)
    spent: dict[str, Spent] = field(default_factory=dict)
    cold_lists: cold.ColdLists = field(default_factory=dict)

    def add(self, answers: Answers, peak_mb: float, reads: Spent) -> None:
        """``reads``: what the encoding of the texts cost, which the answers rest on."""
        for name, answer in answers.items():
            self.spent[name] = Spent(round(answer.seconds + reads.seconds, 1), max(peak_mb, reads.peak_mb))
            self.answers[name] = answer
            _tell(name, self)
        self.answers = {name: self.answers[name] for name in ROWS if name in self.answers}

    def slices(self) -> list[Slice]:
        test, valid = self.task.test, self.task.valid
        found = [
            *self._both("test", test, np.ones(len(test), np.bool_), "all"),
            *self._both("valid", valid, np.ones(len(valid), np.bool_), "all"),
        ]
        if not test.first.all():
            found += self._both("test", test, test.first, "first")
        return found + self._cold()

    def _both(self, split: str, asked: Asked, rows: np.ndarray, name: str) -> list[Slice]:
        users = asked.users.filter(pl.Series(rows))
        return [
            Slice(
                split,
                f"{name}/seen-kept" if kept else name,
                users,
                figures.METRICS,
                {
                    system: figures.accuracy(answer.lists[split, kept][rows], asked.targets[rows])
                    for system, answer in self.answers.items()
                    if (split, kept) in answer.lists
                },
            )
            for kept in (False, True)
        ]

    def _cold(self) -> list[Slice]:
        asked = cold.cold_rows(self.task.test, cold.held_out(len(self.task.item_ids)))
        if not self.cold_lists or not len(asked):
            return []
        return [
            Slice(
                "test",
                name,
                asked.users,
                figures.COLD_METRICS,
                {
                    system: figures.found(lists[name], asked.targets)
                    for system, lists in self.cold_lists.items()
                    if system in self.answers
                },
            )
            for name in (cold.AMONG_ALL, cold.AMONG_COLD)
        ]

    def rows(self) -> list[Row]:
        return [row for part in self.slices() if part.scores for row in figures.rows_of(part, self.spent)]


def _tell(name: str, board: Board) -> None:
    found = figures.accuracy(board.answers[name].lists["test", False], board.task.test.targets).mean(axis=0)
    hit, ndcg = (found[figures.METRICS.index(metric)] for metric in ("HR@10", "NDCG@10"))
    spent = board.spent[name]
    log.info(
        "%s: test HR@10 %.4f NDCG@10 %.4f (%.0f s, %.0f MB)", name, hit, ndcg, spent.seconds, spent.peak_mb
    )


def run(task: Task, asked: Sequence[str], with_cold: bool) -> Iterator[Board]:
    """
    Every row asked, one after the other, each in a process of its own.

    The board is given out when the product's rows stand and again when all do, so that a run that is cut off leaves
    the first.
    """
    board, free = Board(task), Spent(0.0, 0.0)
    if "popularity" in asked:
        done = measured(systems.popularity, task)
        board.add(done.result, done.peak_mb, free)
    if set(READING) & set(asked):
        _reading(board, asked, with_cold)
    yield board
    for name in (name for name in systems.SHOWN_PEERS if name in asked):
        _peer(board, name)
    yield board


def _reading(board: Board, asked: Sequence[str], with_cold: bool) -> None:
    """The rows that rest on the texts."""
    task, encoding = board.task, measured(encoded, board.task.texts)
    raw, text = encoding.result
    reads = Spent(encoding.seconds, encoding.peak_mb)
    log.info("%d texts encoded in %.0f s", len(set(task.texts)), encoding.seconds)
    for name, vectors in (("frozen-encoder", raw), ("ours-text", text)):
        if name in asked:
            done = measured(systems.by_text, task, name, vectors)
            board.add(done.result, done.peak_mb, reads)
    if not set(OWN) & set(asked):
        return
    done = measured(systems.ours, task, text)
    board.add(done.result, done.peak_mb, reads)
    if with_cold:
        chosen = done.result["ours"].chosen
        choice = Choice(chosen["epochs"], chosen["weights"], chosen["NDCG@10"])
        board.cold_lists = measured(cold.cold_lists, task, raw, text, choice).result


def _peer(board: Board, name: str) -> None:
    """A peer that cannot run here (no environment, too little memory) is left out, with a word."""
    try:
        done = measured(systems.peer, board.task, name)
    except (MissingArtefact, TrainingFailed) as failed:
        log.warning("%s is left out: %s", name, failed)
        return
    board.add(done.result, done.peak_mb, Spent(0.0, 0.0))


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        task = read_task(_parquet(options.sequences), item_texts(_parquet(options.items)))
        asked = _asked(options.systems)
        log.info(
            "%d items (%d with text), %d sequences to learn from, %d valid and %d test rows",
            *(len(task.item_ids), sum(map(bool, task.texts)), len(task.refit.users)),
            *(len(task.valid), len(task.test)),
        )
        for board in run(task, asked, with_cold=not options.no_cold):
            rows = _write(options.out, board)
    except RecsysError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    _show(rows)
    return 0


def _write(out: Path, board: Board) -> list[Row]:
    rows = board.rows()
    write_rows(out, rows)
    chosen = {name: answer.chosen for name, answer in board.answers.items() if answer.chosen}
    write_whole(out.with_suffix(".chosen.json"), json.dumps(chosen, indent=2, default=str))
    return rows


def _show(rows: list[Row]) -> None:
    """The table of each slice of the test targets."""
    for name in dict.fromkeys(row["slice"] for row in rows if row["split"] == SPLIT):
        print(f'\ntest, "{name}"\n\n{lists(rows, name, (*figures.METRICS, figures.COLD_METRICS[0]))}')


def _asked(names: Sequence[str] | None) -> list[str]:
    asked = list(names or ROWS)
    unknown = sorted(set(asked) - set(ROWS))
    if unknown:
        raise SettingsError(f"--systems {', '.join(unknown)}: no such row; known: {', '.join(ROWS)}")
    return asked


def _parquet(file: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(file)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{file} is no readable Parquet file: {error}") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.leave_one_out", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--sequences", type=Path, required=True, metavar="FILE.parquet")
    parser.add_argument("--items", type=Path, required=True, metavar="FILE.parquet")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.json")
    parser.add_argument(
        "--systems", nargs="+", metavar="NAME", help=f"only these rows (known: {', '.join(ROWS)})"
    )
    parser.add_argument("--no-cold", action="store_true", help="leave the cold slice out (one more fit)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
