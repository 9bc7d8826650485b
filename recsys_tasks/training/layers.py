"""
A transformer cut in two: frozen lower layers, whose states are computed once a text, and upper layers that learn.

Linear layers run over all tokens of a batch at once and only attention runs by groups of equal length, so nothing is
ever padded. For the BERT family (BERT, MiniLM, RoBERTa, ELECTRA: models with ``embeddings`` and ``encoder.layer``).
"""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from recsys_tasks.errors import SettingsError
from recsys_tasks.model.arrays import Positions, Progress

# Token states that are kept: 700 MB; a catalogue with more computes them again for each batch.
KEPT_STATES_BYTES = 700 * 2**20
TOKENS_AT_A_TIME = 4096


class SplitEncoder(nn.Module):
    """
    ``lower``: token ids -> states (T, d) of all tokens of some texts of given lengths, without gradient.
    ``forward``: such states -> mean-pooled vectors (B, d), with gradients into the upper layers.

    Texts must be ordered by length.
    """

    def __init__(self, model: Any, frozen_layers: int) -> None:
        super().__init__()
        try:
            embeddings, layers = model.embeddings, model.encoder.layer
        except AttributeError:
            raise SettingsError(
                f"encoder.base: {type(model).__name__} cannot be fine-tuned: expected a model of the BERT family"
            ) from None
        if frozen_layers >= len(layers):
            raise SettingsError(
                f"encoder.frozen_layers: the base has {len(layers)} layers; at least one must learn"
            )
        model.requires_grad_(False)
        self.embeddings = embeddings
        self.frozen = layers[:frozen_layers]
        self.learning = layers[frozen_layers:].requires_grad_(True)

    def twin(self) -> "SplitEncoder":
        """The same encoder with a copy of the learning layers that no gradient reaches; the frozen part is shared."""
        twin = SplitEncoder.__new__(SplitEncoder)
        nn.Module.__init__(twin)
        twin.embeddings, twin.frozen = self.embeddings, self.frozen
        twin.learning = copy.deepcopy(self.learning).requires_grad_(False)
        return twin

    @torch.no_grad()
    def lower(self, tokens: Sequence[Sequence[int]]) -> Tensor:
        lengths = [len(ids) for ids in tokens]
        device = next(self.parameters()).device
        states = torch.cat(
            [
                self.embeddings(input_ids=torch.tensor(tokens[start : start + count], device=device)).flatten(
                    0, 1
                )
                for start, count, _ in equal_lengths(lengths)
            ]
        )
        for layer in self.frozen:
            states = packed_layer(layer, states, lengths)
        return states

    def forward(self, states: Tensor, lengths: Sequence[int]) -> Tensor:
        for layer in self.learning:
            states = packed_layer(layer, states, lengths)
        pooled, at = [], 0
        for _, count, length in equal_lengths(lengths):
            block = states[at : at + count * length].view(count, length, -1)
            pooled.append(block.float().mean(dim=1))
            at += count * length
        return torch.cat(pooled)


def packed_layer(layer: Any, states: Tensor, lengths: Sequence[int]) -> Tensor:
    """One BERT layer over packed tokens (T, d)."""
    attention = layer.attention.self
    heads = attention.num_attention_heads
    query, key, value = attention.query(states), attention.key(states), attention.value(states)
    mixed, at = [], 0
    for _, count, length in equal_lengths(lengths):
        rows = slice(at, at + count * length)
        q, k, v = (part[rows].view(count, length, heads, -1).transpose(1, 2) for part in (query, key, value))
        mixed.append(
            functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(count * length, -1)
        )
        at = rows.stop
    attended = layer.attention.output(torch.cat(mixed), states)
    out: Tensor = layer.output(layer.intermediate(attended), attended)
    return out


def equal_lengths(lengths: Sequence[int]) -> list[tuple[int, int, int]]:
    """(first text, number of texts, token length) of each run of equal lengths."""
    array = np.asarray(lengths)
    starts = np.flatnonzero(np.diff(array, prepend=-1))
    counts = np.diff(starts, append=len(array))
    return [(int(s), int(c), int(array[s])) for s, c in zip(starts, counts, strict=True)]


class States:
    """The lower states of texts: kept where they fit into memory, else computed for each batch."""

    def __init__(self, encoder: SplitEncoder, tokens: list[list[int]]) -> None:
        self._encoder = encoder
        self._tokens = tokens
        self.lengths = np.array([len(ids) for ids in tokens], dtype=np.int64)
        self._kept: Tensor | None = None
        self._starts = np.concatenate([[0], np.cumsum(self.lengths)])

    def keep(self, progress: Progress | None = None) -> None:
        """Compute all states now, if they fit; ``progress`` is told (texts done, texts in all)."""
        width = self._encoder.embeddings.word_embeddings.embedding_dim
        if int(self.lengths.sum()) * width * 4 > KEPT_STATES_BYTES:
            return
        device = next(self._encoder.parameters()).device
        kept = torch.empty(int(self.lengths.sum()), width, device=device)
        done = 0
        for codes in token_batches(self.lengths, np.arange(len(self.lengths))):
            kept[self._places(codes)] = self._encoder.lower([self._tokens[code] for code in codes]).float()
            done += len(codes)
            if progress is not None:
                progress(done, len(self.lengths))
        self._kept = kept

    def of(self, codes: Positions) -> tuple[Tensor, list[int]]:
        """States and lengths of these texts, which must be ordered by length."""
        lengths = self.lengths[codes].tolist()
        if self._kept is None:
            return self._encoder.lower([self._tokens[code] for code in codes]), lengths
        return self._kept[self._places(codes)], lengths

    def _places(self, codes: Positions) -> Tensor:
        lengths = self.lengths[codes]
        ends = np.cumsum(lengths)
        places = np.arange(ends[-1]) + np.repeat(self._starts[codes] - (ends - lengths), lengths)
        return torch.from_numpy(places)


def by_length(lengths: Positions, codes: Positions) -> Positions:
    """The codes, shortest text first; equal lengths by code."""
    return codes[np.lexsort((codes, lengths[codes]))]


def token_batches(lengths: Positions, codes: Positions) -> list[Positions]:
    """The codes by length, cut into batches of about TOKENS_AT_A_TIME tokens."""
    ordered = by_length(lengths, codes)
    number = (np.cumsum(lengths[ordered]) - 1) // TOKENS_AT_A_TIME
    return np.split(ordered, np.flatnonzero(np.diff(number)) + 1) if len(ordered) else []
