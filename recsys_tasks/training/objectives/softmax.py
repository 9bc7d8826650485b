"""Objectives that are one plain softmax: InfoNCE, NT-Xent and InfoNCE with several positives."""

import numpy as np
import torch
from torch import Tensor

from recsys_tasks.model.losses import multi_positive
from recsys_tasks.training.objectives.batch import PairBatch
from recsys_tasks.training.objectives.objective import InBatch, Scores, eye, masked, positives_of
from recsys_tasks.training.objectives.similarity import Similarity
from recsys_tasks.training.objectives.temperature import Temperature


class InfoNce(InBatch):
    """
    One-sided InfoNCE: -log softmax(f / t) of each anchor's positive among its candidates, the mean over pairs.

    van den Oord et al. 2018 (arXiv 1807.03748), section 2.3. A pair without any open negative has a loss of zero.
    """

    def __init__(self, similarity: Similarity, temperature: Temperature) -> None:
        super().__init__(similarity)
        self.temperature = temperature

    def loss(self, batch: PairBatch) -> Tensor:
        found = self.scores(batch)
        logits_BC = self.temperature(found.similarities_BC, positives_of(found.similarities_BC, found.own_BC))
        return multi_positive(logits_BC, *self.positives(batch, found))

    def positives(self, batch: PairBatch, found: Scores) -> tuple[Tensor, Tensor]:
        """(B, C) each: which candidates count as positives of each anchor, and which take no part."""
        return found.own_BC, found.masked_BC


class MultiPositive(InfoNce):
    """
    InfoNCE where every text of the batch that is known to follow the anchor counts as its positive.

    The mean over an anchor's positives of -log softmax, all in one softmax: Khosla et al. 2020 (arXiv 2004.11362),
    equation 2. The positives of other pairs with an equal anchor text count; one that equals the own positive is
    masked (it is there already), and so is one that the pair's shopper took anyway. Where such a text stands once more,
    drawn as a negative or as another anchor's positive, it takes no part there: no text is both.
    """

    def positives(self, batch: PairBatch, found: Scores) -> tuple[Tensor, Tensor]:
        anchors = batch.anchor_texts
        texts = np.concatenate([batch.positive_texts, batch.negative_texts])
        same_BB = anchors[:, None] == anchors[None, :]
        equal_BC = batch.positive_texts[:, None] == texts[None, :]
        # Where any pair of the same anchor has a candidate's text as its positive.
        known_BC = same_BB.astype(np.float32) @ equal_BC.astype(np.float32) > 0
        known_BC[:, : len(anchors)] &= ~same_BB
        positives_BC = found.own_BC.clone()
        positives_BC[:, : len(anchors)] |= torch.from_numpy(same_BB).to(positives_BC.device)
        return positives_BC, found.masked_BC | torch.from_numpy(known_BC).to(positives_BC.device)


class NtXent(InfoNce):
    """
    Symmetric InfoNCE, the NT-Xent of SimCLR: both texts of a pair look for each other among all 2B texts.

    Chen et al. 2020 (arXiv 2002.05709), section 2.1, equation 1: the mean over the 2B texts of -log softmax(f / t) of
    the partner among all texts but itself. The batch's N negatives join the candidates of either side. A bilinear f is
    asked with each text as the query in its turn. Masks of a pair hold for both of its texts.
    """

    def loss(self, batch: PairBatch) -> Tensor:
        forward_BC = self._side(batch.anchors_BD, batch.positives_BD, batch.negatives_ND)
        backward_BC = self._side(batch.positives_BD, batch.anchors_BD, batch.negatives_ND)
        own_BC = eye(forward_BC)
        logits = self.temperature(
            torch.cat([forward_BC, backward_BC]),
            torch.cat([positives_of(forward_BC, own_BC), positives_of(backward_BC, own_BC)]),
        )
        # A query itself is masked as any text that equals one of its pair's.
        hidden = torch.cat(
            [
                masked(batch, own_BC, batch.positive_texts, batch.anchor_texts),
                masked(batch, own_BC, batch.anchor_texts, batch.positive_texts),
            ]
        )
        return multi_positive(logits, own_BC.repeat(2, 1), hidden)

    def _side(self, queries_BD: Tensor, partners_BD: Tensor, negatives_ND: Tensor) -> Tensor:
        """Candidates, in this order: the B partners, the B texts of the query's own side, the N negatives."""
        side_BC: Tensor = self.similarity(queries_BD, torch.cat([partners_BD, queries_BD, negatives_ND]))
        return side_BC
