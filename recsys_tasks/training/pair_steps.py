"""
One step of encoder training on pairs: which texts are encoded afresh, what hides, and the loss of the objective.

Every objective gets the same batch: pairs drawn by their weights, the negatives drawn for them (where it meets any),
and masks over any texts it asks about. All of them come from the encoder as it is now, with gradient: beside
negatives from before the training it would learn to tell new vectors from old ones. Nothing here depends on the number
of processes: vectors come whole from ``encode``.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from recsys_tasks.model.arrays import Floats, Positions
from recsys_tasks.model.similarity import Maps, TextSimilarity
from recsys_tasks.settings import EncoderSettings
from recsys_tasks.settings.contrast import InBatch
from recsys_tasks.training.encoder_data import EncoderData
from recsys_tasks.training.encoder_steps import Encode
from recsys_tasks.training.held import held
from recsys_tasks.training.objectives.batch import PairBatch
from recsys_tasks.training.objectives.registry import objective_of
from recsys_tasks.training.objectives.similarity import Bilinear
from recsys_tasks.training.projection import Bank, Projection

# A stream of its own for what an objective begins with; steps count from 0.
BEGINNING = 2**31


class PairSteps:
    """
    Everything a step reads; the same step of the same data and seed is the same everywhere.

    Cosine compares projected vectors of unit length. The other similarities compare them at the length they have, in
    units of their root mean square length at the start, so that a temperature or a margin means about the same to all.
    """

    def __init__(
        self, data: EncoderData, settings: EncoderSettings, projection: Projection, bank: Bank, seed: int
    ) -> None:
        self.data, self.settings, self.projection, self.bank = data, settings, projection, bank
        self.seed = seed
        self._free = np.flatnonzero(~data.held_out)
        self._until = np.cumsum(data.pair_weight, dtype=np.float64)
        self._length = float(bank.shrink[torch.from_numpy(self._free)].reciprocal().square().mean().sqrt())
        self._expected = self._expectations()
        width = projection.rotation.shape[1]
        self.objective = objective_of(settings.contrast, temperature=settings.temperature, width=width)
        self.objective.to(bank.raw.device)
        self.objective.begin(self._draw)

    @property
    def pairs(self) -> int:
        """Pairs of a step."""
        return max(1, self.settings.batch_texts // 2)

    def loss(self, step: int, encode: Encode, slow: Encode) -> Tensor:
        """``encode``: by the encoder, with gradient; ``slow``: by its slow copy, asked only by objectives with one."""
        generator = np.random.default_rng([self.seed, step])
        return self.objective.loss(self._batch(generator, encode, slow))

    def pairs_of(self, step: int) -> tuple[Positions, Positions]:
        """The anchors and the positives of a step."""
        rows = self._rows(np.random.default_rng([self.seed, step]))
        return self.data.pair_anchor[rows], self.data.pair_positive[rows]

    def _rows(self, generator: np.random.Generator) -> Positions:
        """Pairs, each as likely as it weighs: its event's type, less with its age."""
        dice = generator.random(self.pairs) * self._until[-1]
        # Rounding may lift the largest number onto the total itself.
        last = len(self._until) - 1
        rows: Positions = np.minimum(np.searchsorted(self._until, dice, side="right"), last)
        return rows

    def compared_by(self) -> TextSimilarity | None:
        """What texts were compared by, over raw vectors; none for cosine, which the whitening stands for."""
        similarity = self.objective.similarity
        if similarity.kind == "cosine":
            return None
        maps = None
        if isinstance(similarity, Bilinear):
            maps = Maps(
                _array(similarity.query_weight_DD),
                _array(similarity.query_bias_D),
                _array(similarity.item_weight_DD),
                _array(similarity.item_bias_D),
            )
        rotation = _array(self.projection.rotation) / np.float32(self._length)
        return TextSimilarity(similarity.kind, _array(self.projection.mean), rotation, maps)

    def _batch(self, generator: np.random.Generator, encode: Encode, slow: Encode) -> PairBatch:
        data = self.data
        rows = self._rows(generator)
        anchor, positive = data.pair_anchor[rows], data.pair_positive[rows]
        negative = self._negatives(rows)
        fresh, place = np.unique(np.concatenate([anchor, positive, negative]), return_inverse=True)
        vectors = self._project(encode(fresh))[torch.from_numpy(place)]
        pairs = len(rows)
        expected = self._expected[np.concatenate([positive, negative])]
        return PairBatch(
            anchors_BD=vectors[:pairs],
            positives_BD=vectors[pairs : 2 * pairs],
            negatives_ND=vectors[2 * pairs :],
            anchor_texts=anchor,
            positive_texts=positive,
            negative_texts=negative,
            hidden=self._hidden(anchor, positive, data.pair_user[rows]),
            unmet_BB=self._unmet(generator, pairs),
            expected_C=torch.from_numpy(expected).to(vectors.device),
            follower=lambda texts: self._followed(texts, slow),
        )

    def _negatives(self, rows: Positions) -> Positions:
        """The distinct texts drawn against the pairs; none for an objective that would not look at them."""
        drawn = np.unique(self.data.pair_negative[rows if self.objective.meets_drawn else rows[:0]])
        return drawn[drawn >= 0]

    def _hidden(
        self, anchor: Positions, positive: Positions, users: Positions
    ) -> Callable[[Positions], Tensor]:
        """Which texts are no negatives of each pair: those equal to one of its own, and all that its shopper took."""
        data, texts = self.data, len(self.bank.raw)

        def hidden(codes: Positions) -> Tensor:
            equal = (codes[None, :] == anchor[:, None]) | (codes[None, :] == positive[:, None])
            starts = data.history_start
            own = held(codes, data.history_text, starts[users], starts[users + 1], texts)
            return torch.from_numpy(own | equal).to(self.bank.raw.device)

        return hidden

    def _unmet(self, generator: np.random.Generator, pairs: int) -> Tensor | None:
        """Drawn for each two pairs by themselves, so that the same bestseller is not left out for all."""
        contrast = self.settings.contrast
        if not isinstance(contrast, InBatch) or contrast.in_batch == 1:
            return None
        unmet = generator.random((pairs, pairs)) >= contrast.in_batch
        return torch.from_numpy(unmet).to(self.bank.raw.device)

    def _followed(self, texts: Positions, slow: Encode) -> Tensor:
        distinct, place = np.unique(texts, return_inverse=True)
        with torch.no_grad():
            return self._project(slow(distinct))[torch.from_numpy(place)]

    def _project(self, raw: Tensor) -> Tensor:
        if self.settings.contrast.similarity == "cosine":
            projected: Tensor = self.projection(raw)
            return projected
        return self.projection.plain(raw) / self._length

    def _draw(self, size: int) -> tuple[Positions, Tensor]:
        """Texts drawn uniformly, each once, with their vectors by the encoder as it starts, which is also its copy."""
        generator = np.random.default_rng([self.seed, BEGINNING])
        texts = generator.choice(self._free, size=min(size, len(self._free)), replace=False)
        with torch.no_grad():
            return texts, self._project(self.bank.rows(texts))

    def _expectations(self) -> Floats:
        """
        How often each text is expected among a step's candidates: as a positive of its pairs, and as a negative.

        Positives stand there once a pair, so they are counted; negatives are distinct, so theirs is a chance.
        """
        positive, negative = self.data.pair_positive, self.data.pair_negative
        texts, weight = len(self.bank.raw), self.data.pair_weight.astype(np.float64)
        chance = weight / max(weight.sum(), np.finfo(np.float64).tiny)
        drawn = self.pairs * np.bincount(positive, chance, minlength=texts)
        known = negative >= 0
        of_pair = np.broadcast_to(chance[:, None], negative.shape)
        share = np.bincount(negative[known], of_pair[known], minlength=texts)
        return (drawn + 1.0 - (1.0 - share) ** self.pairs).astype(np.float32)


def _array(tensor: Tensor) -> Floats:
    array: Floats = tensor.detach().cpu().numpy()
    return array
