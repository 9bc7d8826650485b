"""
The loop of a next-item model: sampled softmax with negatives that a whole batch shares, every place a target.

What a sequence holds anywhere is no negative for it: lists leave out what a shopper took, and what comes later is
right too.

Letters: P targets of a batch, K negatives, D width, V items of the catalogue.
"""

import copy
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from recsys_tasks.errors import TrainingFailed
from recsys_tasks.model.encoder import best_device
from recsys_tasks.model.sequence_batches import buckets, windows
from recsys_tasks.model.sequence_model import Tower
from recsys_tasks.model.sequence_net import SequenceNet
from recsys_tasks.model.sequence_settings import SequenceSettings
from recsys_tasks.model.sequences import Floats, Ints, Sequences

SMALLEST_BATCH, STEPS_AT_LEAST = 256, 20


class SequenceFit:
    """One net while it learns; ``averaged`` is what to use of it."""

    def __init__(self, sequences: Sequences, text: Floats, settings: SequenceSettings) -> None:
        self.began = time.monotonic()
        torch.manual_seed(settings.seed)
        self.rng = np.random.default_rng(settings.seed)
        self.settings = settings
        self.pieces = windows(sequences, settings.max_length)
        self.vocabulary = np.unique(sequences.items)
        self.device = torch.device(best_device())
        self.net = SequenceNet(torch.from_numpy(text), settings).to(self.device)
        self.averaged = copy.deepcopy(self.net).eval()
        self.optimizer = torch.optim.AdamW(
            self.net.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.steps = 0
        self.targets = int((self.pieces.lengths - 1).sum())
        # A small log still needs some steps an epoch.
        few = max(SMALLEST_BATCH, self.targets // STEPS_AT_LEAST)
        self.batch_targets = min(settings.batch_targets, few)

    def epoch(self) -> float:
        """One pass over the sequences: the mean loss. Raises TrainingFailed, before the step, where it is no number."""
        self.net.train()
        order = self.rng.permutation(len(self.pieces))
        # Batches of equal work: as many sequences as hold batch_targets targets together.
        batch = np.cumsum(self.pieces.lengths[order] - 1) // self.batch_targets
        cuts = np.flatnonzero(np.diff(batch)) + 1
        losses = [self._step(rows) for rows in np.split(order, cuts) if len(rows)]
        return float(torch.stack(losses).mean()) if losses else 0.0

    @property
    def steps_per_epoch(self) -> int:
        """About how many."""
        return max(1, round(self.targets / self.batch_targets))

    def tower(self) -> Tower:
        """What was learned so far, to be used; further epochs do not change it."""
        warm = np.zeros(len(self.net.ids), dtype=np.bool_)
        warm[self.vocabulary] = True
        return Tower(copy.deepcopy(self.averaged), self.settings, warm, time.monotonic() - self.began)

    def _step(self, rows: Ints) -> Tensor:
        loss = self._loss(rows)
        if not torch.isfinite(loss):
            raise TrainingFailed(
                f"the loss of the next-item model is {loss.item()} at step {self.steps + 1}, of {len(rows)} sequences "
                f"(the first is number {rows[0]}): lower its learning_rate"
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.settings.max_grad_norm)
        self.steps += 1
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * min(1.0, self.steps / self.settings.warm_up_steps)
        self.optimizer.step()
        self._average()
        return loss.detach()

    @torch.no_grad()
    def _average(self) -> None:
        # A young mean must not remember the random start.
        share = 1 - min(self.settings.ema, (1 + self.steps) / (10 + self.steps))
        for running, mine in zip(self.averaged.parameters(), self.net.parameters(), strict=True):
            running.lerp_(mine, share)

    def _loss(self, rows: Ints) -> Tensor:
        batch, negatives = list(buckets(self.pieces, rows)), self._negatives()
        parts = [*(bucket.inputs.ravel() for bucket in batch), negatives]
        distinct, places = np.unique(np.concatenate(parts), return_inverse=True)
        items = self.net.parts(self._tensor(distinct))
        *at, at_negatives = torch.split(self._tensor(places), [len(part) for part in parts])
        users, targets, own = [], [], []
        for bucket, at_bucket in zip(batch, at, strict=True):
            at_BL, asked = at_bucket.view(bucket.inputs.shape), self._tensor(bucket.filled[:, 1:])
            users.append(self.net.user(self.net.items(items, at_BL[:, :-1]))[asked])
            targets.append(at_BL[:, 1:][asked])
            holds_BK = _holds(at_BL, self._tensor(bucket.filled), at_negatives, len(distinct))
            own.append(holds_BK[asked.nonzero()[:, 0]])
        at_targets = torch.cat(targets)
        return self.contrast(
            torch.cat(users),
            self.net.items(items, at_targets),
            self.net.items(items, at_negatives),
            torch.cat(own),
        )

    def contrast(self, user_PD: Tensor, positive_PD: Tensor, negative_KD: Tensor, own_PK: Tensor) -> Tensor:
        """Cross-entropy of each target among the negatives; ``own_PK`` marks those that are none."""
        user_PD = functional.normalize(user_PD, dim=1) / self.settings.temperature
        right_P = (user_PD * functional.normalize(positive_PD, dim=1)).sum(dim=1)
        wrong_PK = user_PD @ functional.normalize(negative_KD, dim=1).T
        wrong_PK = wrong_PK.masked_fill(own_PK, float("-inf"))
        return (torch.logaddexp(wrong_PK.logsumexp(dim=1), right_P) - right_P).mean()

    def _negatives(self) -> Ints:
        """Distinct items of the vocabulary, drawn uniformly; all of them where it is small."""
        if len(self.vocabulary) <= self.settings.negatives:
            return self.vocabulary
        return self.rng.choice(self.vocabulary, self.settings.negatives, replace=False, shuffle=False)

    def _tensor(self, array: npt.NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(self.device)


def _holds(at_BL: Tensor, filled_BL: Tensor, at_K: Tensor, size: int) -> Tensor:
    """(B, K): whether a sequence holds an item; places lie below ``size``."""
    held = torch.zeros(len(at_BL), size, dtype=torch.bool, device=at_BL.device)
    held.scatter_(1, at_BL.where(filled_BL, at_BL[:, :1]), True)
    return held[:, at_K]
