"""Objectives by the name they have in ``encoder.contrast.objective``."""

from collections.abc import Callable
from typing import Any

from recsys_tasks.settings import contrast as named
from recsys_tasks.settings.contrast import ContrastSettings
from recsys_tasks.training.objectives.debiased import Debiased, HardNegatives
from recsys_tasks.training.objectives.margins import Squared, Triplet
from recsys_tasks.training.objectives.momentum import Byol, Moco
from recsys_tasks.training.objectives.objective import Objective
from recsys_tasks.training.objectives.queue import CrossBatch
from recsys_tasks.training.objectives.sampled import CorrectedSoftmax, SampledSoftmax
from recsys_tasks.training.objectives.similarity import Similarity, similarity_of
from recsys_tasks.training.objectives.softmax import InfoNce, MultiPositive, NtXent
from recsys_tasks.training.objectives.temperature import Temperature

Make = Callable[[Any, Similarity, float, int], Objective]


def _tempered(settings: named.Tempered, start: float) -> Temperature:
    return Temperature(settings.temperature, start)


OBJECTIVES: dict[str, Make] = {
    "info_nce": lambda s, f, t, _: InfoNce(f, _tempered(s, t)),
    "nt_xent": lambda s, f, t, _: NtXent(f, _tempered(s, t)),
    "multi_positive": lambda s, f, t, _: MultiPositive(f, _tempered(s, t)),
    "debiased": lambda s, f, t, _: Debiased(f, _tempered(s, t), s.class_prior),
    "hard_negatives": lambda s, f, t, _: HardNegatives(f, _tempered(s, t), s.class_prior, s.concentration),
    "sampled_softmax": lambda s, f, t, _: SampledSoftmax(f, _tempered(s, t), s.strength),
    "corrected_softmax": lambda s, f, t, _: CorrectedSoftmax(f, _tempered(s, t), s.strength),
    "cross_batch": lambda s, f, t, _: CrossBatch(f, _tempered(s, t), s.queue),
    "moco": lambda s, f, t, _: Moco(f, _tempered(s, t), s.momentum, s.queue),
    "byol": lambda s, f, _, width: Byol(f, s.momentum, width),
    "triplet": lambda s, f, *_: Triplet(f, s.margin),
    "squared": lambda s, f, *_: Squared(f, s.bound),
}


def objective_of(settings: ContrastSettings, *, temperature: float, width: int) -> Objective:
    """The objective that the settings name, over vectors of this width; ``temperature`` is where it starts."""
    similarity = similarity_of(settings.similarity, width)
    return OBJECTIVES[settings.objective](settings, similarity, temperature, width)
