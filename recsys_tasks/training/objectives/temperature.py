"""What a unit of similarity is worth in a softmax: fixed, learned, or led by how near the pairs lie."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

How = Literal["fixed", "learned", "alignment"]

# Below 0.01 single pairs rule the gradient; CLIP stops there too.
COLDEST = 0.01
# MACL's defaults: half the temperature when pairs lie opposite, half as much again when they coincide.
ALIGNMENT_GAIN = 0.5
ALIGNMENT_START = 0.0


class LearnedTemperature(nn.Module):
    """
    Similarities (B, C) over a temperature that is learned.

    The log of its inverse is a parameter, as in Radford et al. 2021 (CLIP, arXiv 2103.00020), section 2.5, and never
    colder than COLDEST; a start that is colder still is the operator's word.
    """

    def __init__(self, start: float) -> None:
        super().__init__()
        self.start = start
        self.log_scale = nn.Parameter(torch.tensor(math.log(1.0 / start)))

    def forward(self, similarities_BC: Tensor) -> Tensor:
        # The parameter itself is held there, as CLIP's is: a bound within the graph would have no gradient beyond it,
        # and no way back.
        self.log_scale.data.clamp_(max=-math.log(min(COLDEST, self.start)))
        return similarities_BC * self.log_scale.exp()


class Temperature(nn.Module):
    """
    Similarities (B, C) over the temperature. ``positives_B`` are the similarities of the pairs.

    ``fixed``: the start. ``learned``: see LearnedTemperature. ``alignment``: start * (1 + gain * (mean pair
    similarity - start of alignment)), without gradient, after Huang et al. 2023 (MACL, arXiv 2207.07874), section 4.1:
    the nearer the pairs lie already, the more tolerant of near negatives, which then are often unseen positives.
    """

    def __init__(self, how: How, start: float) -> None:
        super().__init__()
        self.how, self.start = how, start
        self.learned = LearnedTemperature(start) if how == "learned" else None

    def forward(self, similarities_BC: Tensor, positives_B: Tensor) -> Tensor:
        if self.learned is not None:
            return self.learned(similarities_BC)  # type: ignore[no-any-return]
        return similarities_BC / self._of(positives_B)

    def _of(self, positives_B: Tensor) -> float | Tensor:
        """The temperature of this batch, where none is learned."""
        if self.how == "fixed":
            return self.start
        # Products and distances know no bounds; the temperature must.
        alignment = positives_B.detach().float().mean().clamp(-1.0, 1.0)
        return self.start * (1.0 + ALIGNMENT_GAIN * (alignment - ALIGNMENT_START))
