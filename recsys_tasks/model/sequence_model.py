"""
A fitted next-item model: several towers, whose scores are averaged, and two plain terms beside them.

score(history, item) = mean over towers of cos(u, v) / temperature + w_text * text term + w_near * near term

Towers that differ in kind and seed err in different places; their mean ranked a tenth better than the best of them
on every set we tried.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_matrix
from torch.nn import functional

from recsys_tasks.model.cold import borrow
from recsys_tasks.model.sequence_batches import buckets
from recsys_tasks.model.sequence_net import SequenceNet
from recsys_tasks.model.sequence_settings import SequenceSettings
from recsys_tasks.model.sequence_terms import near_items, near_scores, text_scores
from recsys_tasks.model.sequences import Floats, Ints, Sequences

Scorer = Callable[[Sequences], Floats]

ROWS_AT_A_TIME = 1024


@dataclass(frozen=True)
class Tower:
    """One net as it is used. ``warm`` (V,) marks the items that training saw: the others borrow an id."""

    net: SequenceNet
    settings: SequenceSettings
    warm: npt.NDArray[np.bool_]
    seconds: float = 0.0
    """What it took to fit, looks at the validation included."""

    @cached_property
    def items(self) -> Floats:
        """(V, D), unit length. An item that training never saw takes the ids of its nearest texts."""
        with torch.inference_mode():
            parts = self.net.parts(torch.arange(len(self.net.ids), device=self.net.ids.device))
        ids, text = parts.ids.cpu().numpy(), parts.texts.cpu().numpy()
        frozen, cold = self.net.text_VT.cpu().numpy(), np.flatnonzero(~self.warm)
        ids[cold] = borrow(frozen[cold], frozen[self.warm], ids[self.warm])
        return _unit(ids + text)

    def users(self, histories: Sequences) -> Floats:
        """(n, D), unit length; zero where the history is empty."""
        histories = histories.last(self.settings.max_length)
        vectors = np.zeros((len(histories), self.settings.dim), dtype=np.float32)
        device = self.net.ids.device
        with torch.inference_mode():
            for bucket in buckets(histories, np.arange(len(histories))):
                codes, places = np.unique(bucket.inputs, return_inverse=True)
                inputs = self.net.items(
                    self.net.parts(torch.from_numpy(codes).to(device)),
                    torch.from_numpy(places.reshape(bucket.inputs.shape)).to(device),
                )
                newest = torch.from_numpy(bucket.filled.sum(axis=1) - 1).to(device)
                states = self.net.user(inputs)[torch.arange(len(newest), device=device), newest]
                vectors[bucket.rows] = functional.normalize(states, dim=1).cpu().numpy()
        return vectors

    def scores(self, histories: Sequences) -> Floats:
        """(n, V)"""
        return np.asarray(self.users(histories) @ self.items.T / self.settings.temperature, np.float32)


@dataclass(frozen=True)
class SequenceModel:
    """Towers and terms over one catalogue."""

    towers: Sequence[Tower]
    text: Floats
    """(V, T) whitened text vectors of the catalogue."""
    near: csr_matrix
    weights: tuple[float, float] = field(default=(0.0, 0.0))
    """Of the text term and of the near term."""

    @classmethod
    def of(
        cls, towers: Sequence[Tower], text: Floats, sequences: Sequences, weights: tuple[float, float]
    ) -> "SequenceModel":
        return cls(towers, text, near_items(sequences, len(text)), weights)

    def parts(self, histories: Sequences) -> tuple[Floats, Floats, Floats]:
        """(n, V) each: the towers' mean, the text term, the near term."""
        mean = sum(tower.scores(histories) for tower in self.towers) / max(len(self.towers), 1)
        return np.asarray(mean), text_scores(histories, self.text), near_scores(histories, self.near)

    def scores(self, histories: Sequences) -> Floats:
        """(n, V)"""
        mean, text, near = self.parts(histories)
        return np.asarray(mean + self.weights[0] * text + self.weights[1] * near, dtype=np.float32)

    def top(self, histories: Sequences, k: int, new_only: bool) -> Ints:
        """(n, k) item codes, the best first, ties by code; with ``new_only`` none of the history's own."""
        return top_of(self.scores, histories, k, new_only)


def top_of(score: Scorer, histories: Sequences, k: int, new_only: bool) -> Ints:
    """The first k of what ``score`` gives, a thousand histories at a time; -1 where nothing is left to list."""
    tops = [np.zeros((0, k), np.int64)]
    for start in range(0, len(histories), ROWS_AT_A_TIME):
        some = histories.rows(np.arange(start, min(start + ROWS_AT_A_TIME, len(histories))))
        scores = score(some)
        if new_only:
            hide_own(scores, some)
        tops.append(first_of(scores, k))
    return np.concatenate(tops)


def hide_own(scores: Floats, histories: Sequences) -> None:
    """Put the items of each history below everything, in place."""
    scores[np.repeat(np.arange(len(histories)), histories.lengths), histories.items] = -np.inf


def first_of(scores: Floats, k: int) -> Ints:
    """(n, k) columns of the largest scores, ties by column; -1 where fewer than k are above minus infinity."""
    size = min(k, scores.shape[1])
    floor = np.partition(scores, scores.shape[1] - size, axis=1)[:, scores.shape[1] - size]
    row, column = np.nonzero((scores >= floor[:, None]) & (scores > -np.inf))
    order = np.lexsort((column, -scores[row, column], row))
    row, column = row[order], column[order]
    place = np.arange(len(row)) - np.searchsorted(row, np.arange(len(scores)))[row]
    top = np.full((len(scores), k), -1, dtype=np.int64)
    top[row[place < k], place[place < k]] = column[place < k]
    return top


def _unit(matrix: Floats) -> Floats:
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.asarray(matrix / np.maximum(lengths, 1e-12), dtype=np.float32)
