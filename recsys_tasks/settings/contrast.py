"""
``encoder.contrast``: how pairs of texts are learned from, one section an objective.

``objective`` names the section, and each has only the settings it needs: a queue without MoCo is an unknown key.
"""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, NonNegativeFloat, PositiveFloat, PositiveInt, Tag

from recsys_tasks.settings.section import Section, Share

DEFAULT = "info_nce"
BelowOne = Annotated[float, Field(ge=0, lt=1)]


class Free(Section):
    """For objectives that any similarity goes with."""

    similarity: Literal["cosine", "dot", "euclidean", "bilinear"] = "cosine"
    """What is compared: cosine; the product; the negative squared distance; <W_u x + b_u, W_y y + b_y>, learned."""


class Tempered(Free):
    """For objectives that are a softmax."""

    temperature: Literal["fixed", "learned", "alignment"] = "fixed"
    """Where ``encoder.temperature`` goes: it stays, it is learned, or it rises with the pairs' similarity."""


class InBatch(Section):
    """For objectives that compare a pair with the other pairs of its batch."""

    in_batch: Share = 1.0
    """The share of the batch's other pairs that each pair meets, drawn anew at each step; 0: none of them."""


class InfoNce(Tempered, InBatch):
    objective: Literal["info_nce"] = "info_nce"


class NtXent(Tempered, InBatch):
    objective: Literal["nt_xent"] = "nt_xent"


class MultiPositive(Tempered, InBatch):
    objective: Literal["multi_positive"] = "multi_positive"


class Biased(Tempered):
    """For objectives that do not believe every negative."""

    class_prior: BelowOne = 0.1
    """The share of the negatives that are unseen positives."""


class Debiased(Biased, InBatch):
    objective: Literal["debiased"] = "debiased"


class HardNegatives(Biased, InBatch):
    objective: Literal["hard_negatives"] = "hard_negatives"
    concentration: NonNegativeFloat = 1.0
    """A negative weighs e^(this x similarity / temperature): near ones count more; 0: all alike."""


class SampledSoftmax(Tempered):
    objective: Literal["sampled_softmax"] = "sampled_softmax"
    strength: Share = 1.0
    """Strength of the correction for drawing popular texts more often (logQ); 0: none."""


class CorrectedSoftmax(Tempered):
    objective: Literal["corrected_softmax"] = "corrected_softmax"
    strength: Share = 1.0
    """Strength of the correction for drawing popular texts more often (logQ); 0: none."""


class CrossBatch(Tempered, InBatch):
    objective: Literal["cross_batch"] = "cross_batch"
    queue: PositiveInt = 4096
    """Positives of earlier steps that are kept as further negatives, with the vectors they had then."""


class Moco(Tempered):
    objective: Literal["moco"] = "moco"
    momentum: BelowOne = 0.99
    """The share of itself that the slow copy of the encoder keeps at each step; long trainings want it nearer to 1."""
    queue: PositiveInt = 4096
    """Vectors of earlier steps that are kept as negatives."""


class Byol(Section):
    objective: Literal["byol"] = "byol"
    similarity: Literal["cosine", "euclidean"] = "cosine"
    """What is compared; products would have nothing that holds their vectors together."""
    momentum: BelowOne = 0.99
    """The share of itself that the slow copy of the encoder keeps at each step; long trainings want it nearer to 1."""


class Triplet(Free, InBatch):
    objective: Literal["triplet"] = "triplet"
    margin: PositiveFloat = 0.2
    """By how much a positive must be nearer than a negative, in units of the similarity."""


class Squared(Free, InBatch):
    objective: Literal["squared"] = "squared"
    bound: PositiveFloat = 2.0
    """A distance of a negative (or a product of a positive) beyond this gains nothing more."""


def without_others(contrast: Section) -> bool:
    """Whether nothing of a batch but the drawn negatives, of which views have none, is set against a pair."""
    return getattr(contrast, "in_batch", 1) == 0 and not hasattr(contrast, "queue")


def _named(value: Any) -> str:
    """The section that a mapping or a section names."""
    if isinstance(value, dict):
        return str(value.get("objective", DEFAULT))
    return str(getattr(value, "objective", DEFAULT))


ContrastSettings = Annotated[
    Annotated[InfoNce, Tag("info_nce")]
    | Annotated[NtXent, Tag("nt_xent")]
    | Annotated[MultiPositive, Tag("multi_positive")]
    | Annotated[Debiased, Tag("debiased")]
    | Annotated[HardNegatives, Tag("hard_negatives")]
    | Annotated[SampledSoftmax, Tag("sampled_softmax")]
    | Annotated[CorrectedSoftmax, Tag("corrected_softmax")]
    | Annotated[CrossBatch, Tag("cross_batch")]
    | Annotated[Moco, Tag("moco")]
    | Annotated[Byol, Tag("byol")]
    | Annotated[Triplet, Tag("triplet")]
    | Annotated[Squared, Tag("squared")],
    Discriminator(_named),
]
