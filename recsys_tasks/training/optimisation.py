"""The state of a training between two steps: what a new process needs to go on as if it were the old one."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from recsys_tasks.training.checkpoints import State


class Optimisation:
    """
    AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101) with its schedule, over parameters in ``groups``.

    A group with a ``pull`` is drawn back to where it started: before each step its weights go the share pull * schedule
    of the way. That is the penalty |w - start|^2 of L2-SP (Li et al. 2018, arXiv 1802.01483, section 3), decoupled from
    the gradient's scale as AdamW decouples weight decay (algorithm 2).

    ``remembered`` are modules that change with the steps beside those parameters: a slow copy, an objective's queue.
    ``losses`` holds one loss for each step done.
    """

    def __init__(
        self,
        groups: list[dict[str, Any]],
        rate: Callable[[int], float],
        remembered: Mapping[str, nn.Module],
    ) -> None:
        self.optimizer = torch.optim.AdamW(groups)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, rate)
        self.parameters: list[nn.Parameter] = [one for group in groups for one in group["params"]]
        # Before a checkpoint is read: what is gone back to is the start of the whole training.
        self._starts = [
            [one.detach().clone() for one in group["params"]] if group.get("pull") else [] for group in groups
        ]
        self.remembered = dict(remembered)
        self.losses: list[float] = []

    @property
    def learning_rate(self) -> float:
        """The first group's, as the schedule has it for the coming step."""
        now: float = self.optimizer.param_groups[0]["lr"]
        return now

    def backward(self, loss: Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]

    def step(self) -> None:
        self._go_back()
        self.optimizer.step()
        self.schedule.step()

    @torch.no_grad()
    def _go_back(self) -> None:
        for group, starts in zip(self.optimizer.param_groups, self._starts, strict=True):
            if starts:
                share = group["pull"] * group["lr"] / group["initial_lr"]
                for parameter, start in zip(group["params"], starts, strict=True):
                    parameter.lerp_(start, share)

    def state(self) -> State:
        return {
            "losses": self.losses,
            "parameters": list(self.parameters),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "remembered": {name: module.state_dict() for name, module in self.remembered.items()},
            "random": _random_state(),
        }

    @torch.no_grad()
    def restore(self, state: State) -> None:
        """Take over what ``state`` gave; the parameters stay the same objects, on the same device."""
        for parameter, kept in zip(self.parameters, state["parameters"], strict=True):
            parameter.copy_(kept)
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        for name, module in self.remembered.items():
            module.load_state_dict(state["remembered"][name])
        self.losses = list(state["losses"])
        _set_random_state(state["random"])


def _random_state() -> dict[str, Any]:
    """Every process draws the same numbers, so the first one's state is that of all."""
    gpu = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
    return {"cpu": torch.get_rng_state(), "gpu": gpu}


def _set_random_state(state: Mapping[str, Any]) -> None:
    torch.set_rng_state(state["cpu"])
    if state["gpu"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["gpu"])
