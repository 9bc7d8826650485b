"""
The cold slice: a twelfth of the items is taken out of all training, then looked for.

The towers that were chosen with learn again without them, for the epochs and with the weights that the whole data
chose; ``ours`` is their mean with the terms here, so without the second of each kind. Scored are the test rows whose
target is such an item, with a history of the other items: how many targets stand in the first 50 of the whole
catalogue, and in the first 50 of the items taken out.
"""

import numpy as np
import polars as pl

from benchmarks.sequences.systems import CHOSEN_WITH, LENGTH, first_tower, show_progress
from benchmarks.sequences.task import Asked, Task
from recsys_tasks.model.sequence_model import Scorer, top_of
from recsys_tasks.model.sequence_terms import text_scores
from recsys_tasks.model.sequences import Floats, Ints, Sequences
from recsys_tasks.training.sequences import Choice, fit

FOLDS, SEED = 12, 0
AMONG_ALL, AMONG_COLD = "cold/among-all", "cold/among-cold"
ColdLists = dict[str, dict[str, Ints]]


def held_out(items: int) -> np.ndarray:
    """(V,) the items taken out."""
    hidden = np.zeros(items, dtype=np.bool_)
    hidden[np.random.default_rng(SEED).permutation(items)[: max(1, items // FOLDS)]] = True
    return hidden


def cold_rows(asked: Asked, hidden: np.ndarray) -> Asked:
    """The rows whose target is hidden, their histories without hidden items; none with an empty history."""
    histories = asked.histories.without(hidden)
    rows = np.flatnonzero(hidden[asked.targets] & (histories.lengths > 0))
    return Asked(
        asked.users.gather(pl.Series(rows, dtype=pl.UInt32)),
        histories.rows(rows),
        asked.targets[rows],
        asked.first[rows],
    )


def cold_lists(task: Task, raw: Floats, text: Floats, choice: Choice) -> ColdLists:
    """By system and slice: lists (n, LENGTH) of ``cold_rows``."""
    show_progress()
    hidden = held_out(len(task.item_ids))
    asked = cold_rows(task.test, hidden)
    model = fit(task.refit.sequences.without(hidden), text, CHOSEN_WITH, choice)
    scorers: dict[str, Scorer] = {
        "frozen-encoder": lambda histories: text_scores(histories, raw),
        "ours-text": lambda histories: text_scores(histories, text),
        "ours-tower": first_tower(model).scores,
        "ours": model.scores,
    }
    return {name: _both(score, asked, hidden) for name, score in scorers.items()}


def _both(score: Scorer, asked: Asked, hidden: np.ndarray) -> dict[str, Ints]:
    def among_cold(histories: Sequences) -> Floats:
        return np.where(hidden, score(histories), -np.inf)

    return {
        AMONG_ALL: top_of(score, asked.histories, LENGTH, new_only=True),
        AMONG_COLD: top_of(among_cold, asked.histories, LENGTH, new_only=True),
    }
