"""
Fitting a next-item model to histories without times.

Choose first, on a validation that no weight has seen: how long each tower learns, and how much the terms count.
Then fit the towers again to everything that may be learned from, for as many epochs as were chosen.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from recsys_tasks.errors import EmptyPartition
from recsys_tasks.model.sequence_model import ROWS_AT_A_TIME, Scorer, SequenceModel, Tower, hide_own
from recsys_tasks.model.sequence_settings import SequenceSettings
from recsys_tasks.model.sequences import Floats, Ints, Sequences
from recsys_tasks.training.sequence_fit import SequenceFit

log = logging.getLogger(__name__)

RANKED = 10
# Enough for a standard error of .002; more would cost more than the training.
MOST_ROWS = 8_000
TEXT_WEIGHTS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)
NEAR_WEIGHTS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)
# Where an epoch is shorter, several pass between two looks at the validation.
LOOK_AFTER_STEPS = 50


@dataclass(frozen=True)
class Validation:
    """Histories and what came next; lists hold nothing of the history where ``new_only``."""

    histories: Sequences
    targets: Ints
    new_only: bool = True

    def some(self, rows: int = MOST_ROWS) -> "Validation":
        """At most this many of them, evenly spread."""
        if len(self.targets) <= rows:
            return self
        kept = np.linspace(0, len(self.targets) - 1, rows).astype(np.int64)
        return Validation(self.histories.rows(kept), self.targets[kept], self.new_only)

    def chunks(self) -> "Sequence[Validation]":
        starts = range(0, len(self.targets), ROWS_AT_A_TIME)
        rows = [np.arange(at, min(at + ROWS_AT_A_TIME, len(self.targets))) for at in starts]
        return [Validation(self.histories.rows(some), self.targets[some], self.new_only) for some in rows]

    def gains(self, scores: Floats) -> Floats:
        """(n,) NDCG@10 of each; ``scores`` (n, V) is spoiled. A target that may not be listed gains nothing."""
        if self.new_only:
            hide_own(scores, self.histories)
        own = scores[np.arange(len(scores)), self.targets][:, None]
        better = (scores > own).sum(axis=1)
        ties = ((scores == own) & (np.arange(scores.shape[1]) < self.targets[:, None])).sum(axis=1)
        rank = np.where(np.isneginf(own[:, 0]), RANKED, better + ties)
        return np.where(rank < RANKED, 1 / np.log2(rank + 2), 0.0).astype(np.float32)

    def ndcg(self, score: Scorer) -> float:
        return float(np.concatenate([part.gains(score(part.histories)) for part in self.chunks()]).mean())


@dataclass(frozen=True)
class Choice:
    """What validation decided: epochs of each tower, weights of the terms, and the NDCG@10 they reached."""

    epochs: list[int]
    weights: tuple[float, float]
    ndcg: float


def choose(
    sequences: Sequences, validation: Validation, text: Floats, towers: Sequence[SequenceSettings]
) -> tuple[Choice, SequenceModel]:
    """
    Fit towers to ``sequences`` with an eye on ``validation``; what was chosen, and the model it was chosen with.

    ``text`` (V, T) holds whitened text vectors of the catalogue, a zero row where there is none. Raises
    EmptyPartition where there is nothing to learn from or to validate on.
    """
    if not len(validation.targets):
        raise EmptyPartition(
            "a next-item model needs validation targets: give histories of three or more items"
        )
    validation = validation.some()
    found = [stopped_early(sequences, validation, text, settings) for settings in towers]
    model = SequenceModel.of([tower for tower, _ in found], text, sequences, (0.0, 0.0))
    weights, ndcg = best_weights(model, validation)
    log.info("weights of text and near terms %s, validation NDCG@10 %.4f", weights, ndcg)
    chosen = SequenceModel(model.towers, text, model.near, weights)
    return Choice([epochs for _, epochs in found], weights, ndcg), chosen


def fit(
    sequences: Sequences, text: Floats, towers: Sequence[SequenceSettings], choice: Choice
) -> SequenceModel:
    """The model that ``choice`` describes, learned from all ``sequences``."""
    fitted = []
    for settings, epochs in zip(towers, choice.epochs, strict=True):
        run = started(sequences, text, settings)
        loss = [run.epoch() for _ in range(epochs)][-1]
        log.info("%s seed %d: %d epochs, loss %.3f", settings.user, settings.seed, epochs, loss)
        fitted.append(run.tower())
    return SequenceModel.of(fitted, text, sequences, choice.weights)


def started(sequences: Sequences, text: Floats, settings: SequenceSettings) -> SequenceFit:
    run = SequenceFit(sequences, text, settings)
    if not len(run.pieces):
        raise EmptyPartition(
            "a next-item model needs sequences of two or more items; none is left to learn from"
        )
    return run


def stopped_early(
    sequences: Sequences, validation: Validation, text: Floats, settings: SequenceSettings
) -> tuple[Tower, int]:
    """The tower of the best epoch by NDCG@10, and that epoch."""
    run = started(sequences, text, settings)
    best, best_tower, best_epoch, misses = -1.0, run.tower(), 0, 0
    stride = max(1, -(-LOOK_AFTER_STEPS // run.steps_per_epoch))
    for epoch in range(stride, settings.max_looks * stride + 1, stride):
        loss = [run.epoch() for _ in range(stride)][-1]
        tower = run.tower()
        ndcg = validation.ndcg(tower.scores)
        log.info(
            "%s seed %d: epoch %d, loss %.3f, NDCG@10 %.4f", settings.user, settings.seed, epoch, loss, ndcg
        )
        misses = 0 if ndcg > best else misses + 1
        if ndcg > best:
            best, best_tower, best_epoch = ndcg, tower, epoch
        if misses >= settings.patience:
            break
    return best_tower, best_epoch


def best_weights(model: SequenceModel, validation: Validation) -> tuple[tuple[float, float], float]:
    """The weights of the two terms with the best NDCG@10; of equal ones the smallest."""
    grid = list(product(TEXT_WEIGHTS, NEAR_WEIGHTS))
    totals = np.zeros(len(grid))
    for part in validation.chunks():
        mean, text, near = model.parts(part.histories)
        totals += [part.gains(mean + a * text + b * near).sum() for a, b in grid]
    best = int(np.argmax(totals.round(6)))
    return grid[best], float(totals[best] / len(validation.targets))
