"""
One step of encoder training on histories: which texts are encoded afresh, and the loss of their vectors.

Texts are scored in the projected space (at the start: the whitened one), because that is where the vectors are used.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from recsys_tasks.model.arrays import Floats, Positions
from recsys_tasks.model.losses import correct_for_sampling, multi_positive, worth_of
from recsys_tasks.settings import EncoderSettings
from recsys_tasks.training.encoder_data import EncoderData, Ints
from recsys_tasks.training.held import held
from recsys_tasks.training.projection import Bank, Projection

# Days in which the weight of a history's event halves.
HALF_LIFE_DAYS = 60.0
HISTORY_EVENTS = 400

# Codes of texts -> their fresh raw vectors, in that order, with gradient.
Encode = Callable[[Positions], Tensor]


class HistorySteps:
    """
    Everything a step reads; the same step of the same data and seed is the same everywhere.

    Of a step's candidates ``positives`` are texts that shoppers took and ``sampled`` are drawn uniformly.
    """

    def __init__(
        self,
        data: EncoderData,
        settings: EncoderSettings,
        projection: Projection,
        bank: Bank,
        *,
        positives: int,
        sampled: int,
        seed: int,
    ) -> None:
        self.data, self.settings, self.projection, self.bank = data, settings, projection, bank
        self.positives, self.sampled, self.seed = positives, sampled, seed
        self._free = np.flatnonzero(~data.held_out)
        self._expected = self._expectations()
        self._ends = data.histories.ends(data.example_user, data.example_until)

    def loss(self, step: int, encode: Encode) -> Tensor:
        """
        A shopper's decayed history against the texts the shopper took next for the first time.

        The mean of what was seen before, in a sampled softmax of what came next: Covington et al. 2016, "Deep neural
        networks for YouTube recommendations", section 3; corrected for sampling as in Yi et al. 2019.
        Candidates are one positive of each example and a uniform sample, with the logits corrected for how often each
        is one. All come from the encoder as it is now: beside stale candidates it would learn to tell fresh vectors
        from stale ones. The shopper's own texts are masked; all positives of the example that are candidates count.
        """
        generator = np.random.default_rng([self.seed, step])
        rows = self._rows(step)
        codes = np.union1d(self._one_positive_each(rows, generator), self._sample(generator))
        candidates_CD = self.projection(encode(codes))
        logits_BC = self.projection.tempered(self._anchors(rows) @ candidates_CD.T)
        if self.settings.popularity_in_logit:
            recent = self.data.popularity[self.data.popularity_row[rows]][:, codes]
            logits_BC = logits_BC + worth_of(
                torch.from_numpy(recent).to(logits_BC), self.projection.popularity
            )
        expected_C = torch.from_numpy(self._expected[codes]).to(logits_BC)
        starts = self.data.positive_start
        return multi_positive(
            correct_for_sampling(logits_BC, expected_C, self.settings.logq),
            self._held(codes, self.data.positive_text, starts[rows], starts[rows + 1]),
            self._own(codes, self.data.example_user[rows], self._ends[rows]),
        )

    def positives_of(self, step: int) -> Positions:
        """The texts that the shoppers of a step took, one a shopper."""
        return self._one_positive_each(self._rows(step), np.random.default_rng([self.seed, step]))

    def _rows(self, step: int) -> Positions:
        return (np.arange(self.positives) + step * self.positives) % len(self.data.example_user)

    def _one_positive_each(self, rows: Positions, generator: np.random.Generator) -> Positions:
        begins, ends = self.data.positive_start[rows], self.data.positive_start[rows + 1]
        return self.data.positive_text[
            begins + (generator.random(len(rows)) * (ends - begins)).astype(np.int64)
        ]

    def _sample(self, generator: np.random.Generator) -> Positions:
        """Texts drawn uniformly, each at most once."""
        size = min(self.sampled, len(self._free))
        return generator.choice(self._free, size=size, replace=False, shuffle=False)

    def _expectations(self) -> Floats:
        """How often each text is expected among the candidates of a step: as a positive, or in the sample."""
        counts = np.diff(self.data.positive_start)
        share = np.repeat(1.0 / np.maximum(counts, 1), counts) / max(1, len(counts))
        drawn = np.bincount(self.data.positive_text, weights=share, minlength=len(self.bank.raw))
        as_positive = 1.0 - (1.0 - np.minimum(drawn, 1.0)) ** self.positives
        in_sample = min(1.0, self.sampled / max(1, len(self._free)))
        return (1.0 - (1.0 - as_positive) * (1.0 - in_sample)).astype(np.float32)

    def _anchors(self, rows: Positions) -> Tensor:
        """The decayed mean of the projected texts of each example's history, unit length, (B, D)."""
        data = self.data
        bags = data.histories.bags(
            data.example_user[rows],
            self._ends[rows],
            data.example_until[rows],
            [HALF_LIFE_DAYS],
            HISTORY_EVENTS,
        )
        weights = (
            torch.from_numpy(bags.values[0]).to(self.bank.raw)
            * self.bank.shrink[torch.from_numpy(bags.items)]
        )
        offsets = torch.from_numpy(bags.offsets[:-1]).to(weights.device)
        items = torch.from_numpy(bags.items).to(weights.device)
        raw = functional.embedding_bag(items, self.bank.raw, offsets, mode="sum", per_sample_weights=weights)
        total = functional.embedding_bag(
            items, torch.ones_like(self.bank.shrink)[:, None], offsets, mode="sum", per_sample_weights=weights
        )
        return functional.normalize((raw - total * self.projection.mean) @ self.projection.rotation, dim=1)

    def _own(self, codes: Positions, users: Positions, ends: Positions) -> Tensor:
        """Which candidates stand in the history of each user, up to ``ends``; (B, C)."""
        return self._held(codes, self.data.history_text, self.data.history_start[users], ends)

    def _held(self, codes: Positions, values: Ints, begins: Ints, ends: Ints) -> Tensor:
        held_BC = held(codes, values, begins, ends, len(self.bank.raw))
        return torch.from_numpy(held_BC).to(self.bank.raw.device)
