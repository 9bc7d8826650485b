"""The processes of one training: who am I, and how work and gradients are shared."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from recsys_tasks.model.arrays import Positions


@dataclass(frozen=True)
class Processes:
    """This process among all of them; alone, nothing is communicated."""

    rank: int = 0
    world: int = 1
    device: str = "cpu"

    @classmethod
    def join(cls, folder: Path) -> "Processes":
        """Read what torchrun says, and meet the others through a file in ``folder`` (nothing listens on a network)."""
        rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        gpu = torch.cuda.is_available()
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if gpu else "cpu"
        if gpu:
            torch.cuda.set_device(device)
        if world > 1:
            meeting = folder / f"meeting-{os.environ.get('TORCHELASTIC_RUN_ID', 'once')}"
            dist.init_process_group(
                "nccl" if gpu else "gloo", init_method=f"file://{meeting}", rank=rank, world_size=world
            )
        return cls(rank, world, device)

    def leave(self) -> None:
        if self.world > 1:
            dist.destroy_process_group()

    def wait(self) -> None:
        """Until every process is here."""
        if self.world > 1:
            dist.barrier()

    def share(self, codes: Positions, work: Callable[[Positions], Tensor]) -> Tensor:
        """
        ``work`` on this process's share of the codes; the results of all, in the order of ``codes``, (n, d).

        Gradients flow back into each process's own share. Needs at least one code.
        """
        if self.world == 1:
            return work(codes)
        from torch.distributed.nn.functional import all_gather

        # Every share has the same size: the last ones take a code twice.
        each = -(-len(codes) // self.world)
        padded = np.resize(codes, each * self.world)
        shares = all_gather(work(padded.reshape(self.world, each)[self.rank]))  # type: ignore[no-untyped-call]
        return torch.cat(list(shares))[: len(codes)]

    def average(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its mean over the processes."""
        if self.world == 1:
            return
        for parameter in parameters:
            if parameter.grad is not None:
                dist.all_reduce(parameter.grad)
                parameter.grad /= self.world
