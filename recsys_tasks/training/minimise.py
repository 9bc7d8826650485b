"""The loop under every training of a text model: AdamW over a number of steps, watched, resumed where it broke off."""

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recsys_tasks.errors import TrainingFailed
from recsys_tasks.training.checkpoints import UNREADABLE, Checkpoints
from recsys_tasks.training.curves import Curves
from recsys_tasks.training.optimisation import Optimisation
from recsys_tasks.training.processes import Processes

log = logging.getLogger("finetune")

CLIP = 1.0
WARM_UP_SHARE = 0.2
WARM_UP_STEPS = 50
STEPS_BETWEEN_LINES = 10


@dataclass(frozen=True, kw_only=True)
class Care:
    """What a long training has around its steps; a short one needs none of it."""

    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    remembered: Mapping[str, nn.Module] = field(default_factory=dict)
    """Modules that change with the steps beside the parameters: kept in the checkpoints."""
    batch_of: Callable[[int], str] | None = None
    """What a step learns from, in words, for the message of a step that failed."""
    advice: str = "Lower encoder.learning_rate, or raise encoder.temperature"
    """What to do about a loss that is not finite."""
    curves: Curves = field(default_factory=Curves)
    """Told the figures of every step."""


UNATTENDED = Care()


def minimise(
    loss_of: Callable[[int], Tensor],
    groups: list[dict[str, Any]],
    steps: int,
    processes: Processes,
    after_step: Callable[[], None] = lambda: None,
    care: Care = Care(),
) -> list[float]:
    """
    AdamW over all steps; the loss of each.

    Goes on from the newest checkpoint of ``care``, if there is one; the result is that of an unbroken run, bit for bit.
    Raises TrainingFailed, before the optimiser moves, where a loss or its gradient is not finite, and where one of the
    processes cannot read the checkpoint that the first one goes on from.
    """
    run = Optimisation(groups, lambda step: rate(step, steps), care.remembered)
    _resume(run, care.checkpoints, processes, steps)
    first = len(run.losses)
    care.curves.begin(first)
    began = time.monotonic()
    for step in range(first, steps):
        loss = loss_of(step)
        run.backward(loss)
        processes.average(run.parameters)
        norm = torch.nn.utils.clip_grad_norm_(run.parameters, CLIP)
        # One look at the device for both.
        loss_value, norm_value = torch.stack([loss.detach().float(), norm.detach().float()]).tolist()
        _stop_if_not_finite(step, loss_value, norm_value, care)
        figures = {"loss": loss_value, "gradient_norm": norm_value, "learning_rate": run.learning_rate}
        run.step()
        after_step()
        run.losses.append(loss_value)
        care.curves.tell(step, figures)
        if processes.rank == 0 and care.checkpoints.due(step + 1, steps):
            care.checkpoints.save(step + 1, run.state())
        if (step + 1) % STEPS_BETWEEN_LINES == 0:
            _tell(step + 1, steps, run.losses, (time.monotonic() - began) / (step + 1 - first))
    return run.losses


def rate(step: int, steps: int) -> float:
    """The share of the learning rate: up in a straight line, then down to zero at the last step."""
    warm_up = max(1.0, min(WARM_UP_STEPS, WARM_UP_SHARE * steps))
    return min((step + 1) / warm_up, (steps - step) / max(1.0, steps - warm_up), 1.0)


def _resume(run: Optimisation, checkpoints: Checkpoints, processes: Processes, steps: int) -> None:
    """
    The first process chooses for all: on a network file system another one may see other files, and would train apart.
    """
    kept = checkpoints.newest() if processes.rank == 0 else None
    if kept is not None:
        run.restore(kept)
    done = processes.told(len(run.losses))
    if done == 0:
        return
    can_read = processes.rank == 0 or _restored(run, checkpoints, done)
    blind = [rank for rank, can in enumerate(processes.gathered(int(can_read))) if not can]
    if blind:
        # All of them end: one that went on alone would wait for the others for ever.
        raise TrainingFailed(
            f"process {', '.join(map(str, blind))} of {processes.world} (from 0) cannot read the checkpoint behind "
            f"step {done} of {checkpoints.folder}, which process 0 goes on from: all machines have to see "
            "the same files there. Where one was late a retry is enough; where the file is damaged, remove it to go on "
            "from the one before it"
        )
    log.info("resuming behind step %d of %d: an earlier process was broken off", done, steps)


def _restored(run: Optimisation, checkpoints: Checkpoints, done: int) -> bool:
    """Whether the state behind ``done`` steps could be read; if so, ``run`` has it."""
    try:
        run.restore(checkpoints.behind(done))
    except UNREADABLE as error:
        # As an error: a process that is not the first is heard with nothing less.
        log.error("the checkpoint behind step %d cannot be read: %s", done, error)
        return False
    return True


def _stop_if_not_finite(step: int, loss: float, norm: float, care: Care) -> None:
    if math.isfinite(loss) and math.isfinite(norm):
        return
    what = f"the loss is {loss}" if not math.isfinite(loss) else f"the gradient's norm is {norm}"
    failed = f"step {step}: {what}; the optimiser did not move. "
    if care.batch_of is None:
        raise TrainingFailed(f"{failed}{care.advice}")
    raise TrainingFailed(
        f"{failed}The batch: {care.batch_of(step)}. {care.advice}; if it is always this batch, look at its texts"
    )


def _tell(done: int, steps: int, losses: list[float], pace: float) -> None:
    recent = float(np.mean(losses[-STEPS_BETWEEN_LINES:]))
    log.info("step %d of %d: loss %.4f, %.2f s a step", done, steps, recent, pace)
