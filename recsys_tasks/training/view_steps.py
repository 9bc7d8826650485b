"""
One step of encoder training on views: two views of one text are a pair, whatever shoppers did.

Self-supervision as in SimCLR (Chen et al. 2020, arXiv 2002.05709), MoCo and BYOL, with changed texts in the place of
changed images. Held-out texts have no views. Any objective takes such pairs; the negatives of a text are the other
texts of the step (and of MoCo's queue).
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from recsys_tasks.model.arrays import Floats, Positions
from recsys_tasks.settings import EncoderSettings
from recsys_tasks.training.encoder_data import EncoderData
from recsys_tasks.training.encoder_steps import Encode
from recsys_tasks.training.objectives.batch import PairBatch
from recsys_tasks.training.pair_steps import PairSteps
from recsys_tasks.training.projection import Bank, Projection
from recsys_tasks.training.views import Views


class ViewSteps(PairSteps):
    """
    As PairSteps, over views. ``encode`` is asked for the places of views in ``views.tokens``.

    An objective knows a view by a number: the first view of text c is c, the second c + m, with m texts in all. So it
    asks the slow copy of the encoder for the view it means, and a queue tells of which text a vector is.
    """

    def __init__(
        self,
        data: EncoderData,
        settings: EncoderSettings,
        projection: Projection,
        bank: Bank,
        seed: int,
        views: Views,
    ) -> None:
        super().__init__(data, settings, projection, bank, seed)
        self.views = views

    def _batch(self, generator: np.random.Generator, encode: Encode, slow: Encode) -> PairBatch:
        texts = len(self.bank.raw)
        codes = self._codes(generator)
        self.views.draw(codes, generator)
        vectors = self._project(encode(np.arange(2 * len(codes))))
        return PairBatch(
            anchors_BD=vectors[: len(codes)],
            positives_BD=vectors[len(codes) :],
            negatives_ND=vectors[:0],
            anchor_texts=codes,
            positive_texts=codes + texts,
            negative_texts=codes[:0],
            hidden=self._equal(codes),
            unmet_BB=self._unmet(generator, len(codes)),
            expected_C=torch.from_numpy(self._expected[codes]).to(vectors.device),
            follower=lambda numbers: self._followed(_places(codes, numbers, texts), slow),
        )

    def pairs_of(self, step: int) -> tuple[Positions, Positions]:
        """The texts of a step, as anchors and as positives."""
        codes = self._codes(np.random.default_rng([self.seed, step]))
        return codes, codes

    def _codes(self, generator: np.random.Generator) -> Positions:
        """Different texts that may be learned from, each alike."""
        return generator.choice(self._free, size=min(self.pairs, len(self._free)), replace=False)

    def _equal(self, codes: Positions) -> Callable[[Positions], Tensor]:
        """Any view of the same text hides: it is no negative."""

        def hidden(numbers: Positions) -> Tensor:
            equal = numbers[None, :] % len(self.bank.raw) == codes[:, None]
            return torch.from_numpy(equal).to(self.bank.raw.device)

        return hidden

    def _expectations(self) -> Floats:
        """Every text that may be learned from stands in a step with one chance."""
        chance = min(1.0, self.pairs / max(1, len(self._free)))
        return np.full(len(self.bank.raw), chance, dtype=np.float32)


def _places(codes: Positions, numbers: Positions, texts: int) -> Positions:
    """Where the views with these numbers stand among first and second views of the texts ``codes``."""
    order = np.argsort(codes)
    place = order[np.searchsorted(codes, numbers % texts, sorter=order)]
    return place + len(codes) * (numbers // texts)
