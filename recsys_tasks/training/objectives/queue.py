"""Vectors of earlier steps as negatives: the queue that holds them, and InfoNCE with a memory across batches."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from recsys_tasks.model.arrays import Positions
from recsys_tasks.model.losses import multi_positive
from recsys_tasks.training.objectives.batch import PairBatch
from recsys_tasks.training.objectives.objective import Draw, InBatch, Objective, positives_of
from recsys_tasks.training.objectives.similarity import Similarity
from recsys_tasks.training.objectives.temperature import Temperature


class Queue:
    """The newest ``size`` vectors and the texts they belong to; the oldest make room."""

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"a queue holds at least one vector, not {size}")
        self.size = size
        self.texts: Positions = np.zeros(0, dtype=np.int64)
        self.vectors_QD: Tensor | None = None

    def push(self, texts: Positions, vectors_BD: Tensor) -> None:
        vectors_BD = vectors_BD.detach()
        joined = vectors_BD if self.vectors_QD is None else torch.cat([self.vectors_QD, vectors_BD])
        self.texts, self.vectors_QD = np.concatenate([self.texts, texts])[-self.size :], joined[-self.size :]


class Queued(Objective):
    """An objective with a queue: filled with texts drawn uniformly at the start, and part of its state."""

    def __init__(self, similarity: Similarity, queue: int) -> None:
        super().__init__(similarity)
        self.queue = Queue(queue)

    def begin(self, draw: Draw) -> None:
        self.queue.push(*draw(self.queue.size))

    def waiting(self, like_BD: Tensor) -> Tensor:
        """The vectors in the queue, (Q, D); before ``begin`` none."""
        return like_BD[:0] if self.queue.vectors_QD is None else self.queue.vectors_QD

    def get_extra_state(self) -> dict[str, Any]:
        """The queue, for ``state_dict``."""
        return {"texts": self.queue.texts, "vectors": self.queue.vectors_QD}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        vectors_QD, now_QD = state["vectors"], self.queue.vectors_QD
        if vectors_QD is not None and now_QD is not None:
            vectors_QD = vectors_QD.to(now_QD)
        self.queue.texts, self.queue.vectors_QD = state["texts"], vectors_QD


class CrossBatch(Queued, InBatch):
    """
    InfoNCE among the batch's own candidates and the positives of earlier steps, as the encoder had them then.

    Cross-batch memory: Wang et al. 2020 (arXiv 1912.06798), section 3 and algorithm 1. It rests on vectors that drift
    slowly, so it wants a small learning rate or a short queue; MoCo's slow copy is the other way.

    -log(e^{f(a, p) / t} / (e^{f(a, p) / t} + sum over open candidates and the queue of e^{f(a, n) / t})), the mean over
    pairs. Masks hold for the texts in the queue as for any others. After the step its positives join the queue.
    """

    def __init__(self, similarity: Similarity, temperature: Temperature, queue: int) -> None:
        super().__init__(similarity, queue)
        self.temperature = temperature
        self._positives: tuple[Positions, Tensor] | None = None

    def loss(self, batch: PairBatch) -> Tensor:
        self._positives = batch.positive_texts, batch.positives_BD.detach()
        found = self.scores(batch)
        waiting_BQ = self.similarity(batch.anchors_BD, self.waiting(batch.anchors_BD))
        similarities_BC = torch.cat([found.similarities_BC, waiting_BQ], dim=1)
        own_BC = torch.cat([found.own_BC, torch.zeros_like(waiting_BQ, dtype=torch.bool)], dim=1)
        masked_BC = torch.cat([found.masked_BC, batch.hidden(self.queue.texts)], dim=1)
        logits_BC = self.temperature(similarities_BC, positives_of(similarities_BC, own_BC))
        return multi_positive(logits_BC, own_BC, masked_BC)

    def after_step(self) -> None:
        if self._positives is not None:
            self.queue.push(*self._positives)
            self._positives = None
