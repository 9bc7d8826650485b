"""A training that ends at the mean of its last weights, not at the last of them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from recsys_tasks.training.minimise import Care, minimise
from recsys_tasks.training.processes import Processes


class Average(nn.Module):
    """
    The running mean of ``parameters`` behind each step but the first ``skipped``: stochastic weight averaging.

    Izmailov et al. 2018 (arXiv 1803.05407), section 3.2 and algorithm 1, with a mean over every step.
    """

    seen: Tensor

    def __init__(self, parameters: list[nn.Parameter], skipped: int) -> None:
        super().__init__()
        self._of, self.skipped = tuple(parameters), skipped
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        for number, parameter in enumerate(parameters):
            self.register_buffer(f"mean_{number}", torch.zeros_like(parameter))

    @torch.no_grad()
    def take(self) -> None:
        """The optimiser has moved: count the weights in."""
        self.seen += 1
        counted = int(self.seen) - self.skipped
        if counted > 0:
            for parameter, mean in self._both():
                mean.lerp_(parameter, 1.0 / counted)

    @torch.no_grad()
    def give(self) -> None:
        """Put the mean in the place of the weights."""
        for parameter, mean in self._both():
            parameter.copy_(mean)

    def _both(self) -> list[tuple[nn.Parameter, Tensor]]:
        return [(one, self.get_buffer(f"mean_{number}")) for number, one in enumerate(self._of)]


def minimise_averaged(
    loss_of: Callable[[int], Tensor],
    groups: list[dict[str, Any]],
    steps: int,
    processes: Processes,
    after_step: Callable[[], None],
    care: Care,
    share: float,
) -> list[float]:
    """As ``minimise``; with a ``share`` above 0 the parameters end as their mean over that last share of the steps."""
    if share == 0:
        return minimise(loss_of, groups, steps, processes, after_step, care)
    counted = max(1, round(share * steps))
    average = Average([one for group in groups for one in group["params"]], steps - counted)

    def then() -> None:
        after_step()
        average.take()

    remembered = {**care.remembered, "average": average}
    losses = minimise(loss_of, groups, steps, processes, then, replace(care, remembered=remembered))
    average.give()
    return losses
