"""The space that raw vectors are used in, while it is trained, and what histories are summed from."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from recsys_tasks.model.arrays import Positions
from recsys_tasks.model.whiten import Whitening
from recsys_tasks.training.objectives.temperature import LearnedTemperature


class Projection(nn.Module):
    """Raw vectors -> the space they are used in; starts as the whitening. Beside it, what only training needs."""

    mean: Tensor

    def __init__(self, whitening: Whitening, temperature: float, windows: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(whitening.mean.copy()))
        self.rotation = nn.Parameter(torch.from_numpy(whitening.rotation.copy()))
        self.temperature = LearnedTemperature(temperature)
        # Explicit starts: from zero they would hardly move in so few steps.
        self.popularity = nn.Parameter(torch.full((windows,), 0.4))

    def forward(self, raw: Tensor) -> Tensor:
        return functional.normalize(self.plain(raw), dim=1)

    def plain(self, raw: Tensor) -> Tensor:
        """The projected vectors at the length they have."""
        return (raw - self.mean) @ self.rotation

    def tempered(self, similarities_BC: Tensor) -> Tensor:
        """Similarities of projected vectors over the learned temperature."""
        return self.temperature(similarities_BC)  # type: ignore[no-any-return]

    def scalars(self) -> list[nn.Parameter]:
        """The temperature and what a unit of log popularity is worth."""
        return [*self.temperature.parameters(), self.popularity]

    def whitening(self) -> Whitening:
        return Whitening(self.mean.cpu().numpy(), self.rotation.detach().cpu().numpy())


@dataclass
class Bank:
    """A raw vector of every text, (m, d), and 1 / its projected length, (m,): what histories are summed from."""

    raw: Tensor
    shrink: Tensor

    @classmethod
    def of(cls, raw: Tensor, projection: Projection) -> "Bank":
        with torch.no_grad():
            lengths = ((raw - projection.mean) @ projection.rotation).norm(dim=1).clamp(min=1e-6)
        return cls(raw, 1.0 / lengths)

    def rows(self, codes: Positions) -> Tensor:
        return self.raw[torch.from_numpy(codes)]
