"""
The rows of the table: what each system lists for every row asked.

A system is fitted twice: to ``train`` for the validation figures (where the product also chooses), to ``refit`` for the
test figures. Lists are codes (n, LENGTH), -1 where a list ends early.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from benchmarks.peers.base import Log, Peer
from benchmarks.peers.coded import positions
from benchmarks.peers.registry import PEERS
from benchmarks.sequences.task import Asked, Learned, Task
from recsys_tasks.model.sequence_model import Scorer, SequenceModel, top_of
from recsys_tasks.model.sequence_settings import SequenceSettings
from recsys_tasks.model.sequence_terms import text_scores
from recsys_tasks.model.sequences import Floats, Ints, Sequences
from recsys_tasks.training.sequences import Validation, choose, fit

LENGTH = 50
SHOWN_PEERS = ("item-knn", "ease", "als", "bpr", "sasrec", "esasrec")
# One fit takes minutes; they choose their epochs inside their log anyway.
ONLY_TEST = ("sasrec", "esasrec")
# What epochs and weights are chosen with; the first alone is the row ``ours-tower``.
CHOSEN_WITH = (
    SequenceSettings(user="mean", dim=256, temperature=0.07, seed=1),
    SequenceSettings(user="transformer", temperature=0.1, seed=1),
)
# What ``ours`` then is: a second of each kind learns as long as the first, unseen by validation (half the time).
TOWERS = (
    *CHOSEN_WITH,
    SequenceSettings(user="mean", dim=256, temperature=0.1, seed=2),
    SequenceSettings(user="transformer", temperature=0.07, seed=2),
)


@dataclass
class Answer:
    """Lists by (split, seen items kept), the seconds they took, and what was chosen."""

    lists: dict[tuple[str, bool], Ints] = field(default_factory=dict)
    seconds: float = 0.0
    chosen: dict[str, Any] = field(default_factory=dict)


Answers = dict[str, Answer]


def popularity(task: Task) -> Answers:
    """What most sequences hold."""

    def by_count(learned: Learned) -> Scorer:
        counts = learned.sequences.counts(len(task.item_ids)).astype(np.float32)
        return lambda histories: np.tile(counts, (len(histories), 1))

    return {"popularity": _answered(task, by_count)}


def by_text(task: Task, name: str, text: Floats) -> Answers:
    """The items whose texts are most like those of the history, the newest counting most; nothing is learned."""
    return {name: _answered(task, lambda _: lambda histories: text_scores(histories, text))}


def _answered(task: Task, learn: Callable[[Learned], Scorer]) -> Answer:
    began = time.monotonic()
    answer = Answer()
    for split, learned, asked in (("valid", task.train, task.valid), ("test", task.refit, task.test)):
        _list(answer, split, learn(learned), asked.histories)
    answer.seconds = time.monotonic() - began
    return answer


def _list(answer: Answer, split: str, score: Scorer, histories: Sequences) -> None:
    for kept in (False, True):
        answer.lists[split, kept] = top_of(score, histories, LENGTH, new_only=not kept)


def ours(task: Task, text: Floats) -> Answers:
    """``ours``, and its first tower alone as ``ours-tower``. The validation figures are of the towers chosen with."""
    show_progress()
    began = time.monotonic()
    whole, alone = Answer(), Answer()
    validation = Validation(task.valid.histories, task.valid.targets)
    choice, model = choose(task.train.sequences, validation, text, CHOSEN_WITH)
    whole.chosen = {"epochs": choice.epochs, "weights": choice.weights, "NDCG@10": choice.ndcg}
    for split, asked in (("valid", task.valid), ("test", task.test)):
        if split == "test":
            twice = replace(choice, epochs=choice.epochs * (len(TOWERS) // len(CHOSEN_WITH)))
            model = fit(task.refit.sequences, text, TOWERS, twice)
        tower = first_tower(model)
        _list(whole, split, model.scores, asked.histories)
        _list(alone, split, tower.scores, asked.histories)
        alone.seconds += tower.towers[0].seconds
    whole.seconds = time.monotonic() - began
    return {"ours-tower": alone, "ours": whole}


def show_progress() -> None:
    """Let the training speak in a process that is silent otherwise."""
    logging.getLogger("recsys_tasks.training").setLevel(logging.INFO)


def first_tower(model: SequenceModel) -> SequenceModel:
    """The model of its first tower, without the terms."""
    return replace(model, towers=model.towers[:1], weights=(0.0, 0.0))


def peer(task: Task, name: str) -> Answers:
    """
    A public peer. What only later rows of a shopper know is read, not learned from. A peer that cannot read (BPR)
    answers them with the shopper's list as of the fit, less what the row knows where seen items are left out.
    """
    began = time.monotonic()
    answer = Answer()
    for split, learned, asked in (("valid", task.train, task.valid), ("test", task.refit, task.test)):
        if split == "valid" and name in ONLY_TEST:
            continue
        fitted = PEERS[name]()
        names = answered_as(asked) if fitted.reads else asked.users
        fitted.fit(log_of(learned, asked, names, task.item_ids))
        answer.chosen[split] = fitted.chosen
        for kept in (False, True):
            answer.lists[split, kept] = peer_lists(fitted, asked, names, task.item_ids, kept)
    answer.seconds = time.monotonic() - began
    return {name: answer}


def answered_as(asked: Asked) -> pl.Series:
    """(n,) who stands for each row: the shopper, or for a later row somebody of that history alone."""
    names = pl.DataFrame({"user": asked.users, "first": asked.first}).with_row_index("row")
    later = pl.concat_str("user", pl.lit("\n"), "row")
    return names.select(pl.when("first").then("user").otherwise(later)).to_series()


def log_of(learned: Learned, asked: Asked, names: pl.Series, item_ids: pl.Series) -> Log:
    """The sequences as a log without times; behind them, to be read only, the histories that later rows stand on."""
    later = np.flatnonzero((names != asked.users).to_numpy())
    read = asked.histories.rows(later)
    users = [
        each.gather(np.repeat(np.arange(len(each)), sequences.lengths))
        for each, sequences in (
            (learned.users, learned.sequences),
            (names.gather(pl.Series(later, dtype=pl.UInt32)), read),
        )
    ]
    items = item_ids.gather(np.concatenate([learned.sequences.items, read.items]))
    read_only = pl.Series(np.arange(len(items)) >= len(learned.sequences.items))
    return Log(pl.concat(users), items, item_ids, read_only=read_only)


def peer_lists(peer: Peer, asked: Asked, names: pl.Series, item_ids: pl.Series, kept: bool) -> Ints:
    """(n, LENGTH) codes of what the peer lists for each row, which ``names`` stand for."""
    users = names.unique(maintain_order=True)
    more = 0 if kept or peer.reads else int(asked.histories.lengths[~asked.first].max(initial=0))
    lists = peer.top(users, LENGTH + more, new_only=not kept)
    row = positions_of(lists["user_id"], users)
    table = np.full((len(users), LENGTH + more), -1, dtype=np.int64)
    table[row, lists["rank"].to_numpy() - 1] = positions(lists["item_id"], item_ids)
    top = table[positions_of(names, users)]
    return top if kept else without_own(top, asked.histories)


def positions_of(values: pl.Series, distinct: pl.Series) -> Ints:
    places = pl.DataFrame({"id": distinct, "place": np.arange(len(distinct))})
    found = values.to_frame("id").join(places, on="id", how="left", maintain_order="left")["place"]
    return found.to_numpy().astype(np.int64)


def without_own(top: Ints, histories: Sequences) -> Ints:
    """Lists without the items of each row's history, at most LENGTH long."""
    left = np.full((len(top), LENGTH), -1, dtype=np.int64)
    for row, codes in enumerate(top):
        some = codes[~np.isin(codes, histories[row])][:LENGTH]
        left[row, : len(some)] = some
    return left
