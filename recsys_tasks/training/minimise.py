"""The loop under every encoder training: AdamW over a number of steps, watched."""

import logging
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recsys_tasks.errors import TrainingFailed
from recsys_tasks.training.processes import Processes

log = logging.getLogger("finetune")

CLIP = 1.0
WARM_UP_SHARE = 0.2
WARM_UP_STEPS = 50
STEPS_BETWEEN_LINES = 10


def minimise(
    loss_of: Callable[[int], Tensor],
    groups: list[dict[str, Any]],
    steps: int,
    processes: Processes,
    after_step: Callable[[], None] = lambda: None,
) -> list[float]:
    """AdamW over all steps; the loss of each. Raises TrainingFailed, before the step, where a loss is not finite."""
    optimizer = torch.optim.AdamW(groups)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, steps))
    parameters = [parameter for group in groups for parameter in group["params"]]
    losses: list[float] = []
    began = time.monotonic()
    for step in range(steps):
        loss = loss_of(step)
        if not torch.isfinite(loss):
            raise TrainingFailed(f"step {step}: the loss is {loss.item()}; lower encoder.learning_rate")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        processes.average(parameters)
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()
        schedule.step()
        after_step()
        losses.append(loss.item())
        if (step + 1) % STEPS_BETWEEN_LINES == 0:
            pace = (time.monotonic() - began) / (step + 1)
            recent = float(np.mean(losses[-STEPS_BETWEEN_LINES:]))
            log.info("step %d of %d: loss %.4f, %.2f s a step", step + 1, steps, recent, pace)
    return losses


def rate(step: int, steps: int) -> float:
    """The share of the learning rate: up in a straight line, then down to zero at the last step."""
    warm_up = max(1.0, min(WARM_UP_STEPS, WARM_UP_SHARE * steps))
    return min((step + 1) / warm_up, (steps - step) / max(1.0, steps - warm_up), 1.0)
