"""The processes of one training: who am I, and how work and gradients are shared."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from recsys_tasks.model.arrays import Positions
from recsys_tasks.model.encoder import takes_bf16


@dataclass(frozen=True)
class Processes:
    """
    This process among all of them; alone, nothing is communicated.

    Accelerate finds the device and the other processes. What is shared is ours: its wrapper (DDP) would average losses
    of parts of a batch, and a contrastive loss is one of the whole batch.
    """

    rank: int = 0
    world: int = 1
    device: str = "cpu"
    accelerator: Any = None

    @classmethod
    def join(cls, folder: Path) -> "Processes":
        """
        Read what torchrun says and meet the others: on one machine through a file in ``folder``, where nothing listens
        on a network; on several nodes at the first one's address.
        """
        from accelerate import Accelerator

        gpu = torch.cuda.is_available()
        if gpu:
            torch.cuda.set_device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}")
        accelerator = Accelerator(
            cpu=not gpu,
            # The same rule as for every text that is encoded later.
            mixed_precision="bf16" if takes_bf16("cuda" if gpu else "cpu") else "no",
            kwargs_handlers=_meeting(folder, gpu),
        )
        return cls(accelerator.process_index, accelerator.num_processes, str(accelerator.device), accelerator)

    def leave(self) -> None:
        """End the meeting."""
        if self.accelerator is not None:
            self.accelerator.end_training()

    def wait(self) -> None:
        """Until every process is here."""
        if self.world > 1:
            dist.barrier()

    def told(self, number: int) -> int:
        """The first process's number, told to all."""
        if self.world == 1:
            return number
        tensor = torch.tensor([number], device=self.device)
        dist.broadcast(tensor, src=0)
        return int(tensor.item())

    def gathered(self, number: int) -> list[int]:
        """Every process's number, by rank."""
        if self.world == 1:
            return [number]
        own = torch.tensor([number], device=self.device)
        each = [torch.empty_like(own) for _ in range(self.world)]
        dist.all_gather(each, own)
        return [int(tensor.item()) for tensor in each]

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


def _meeting(folder: Path, gpu: bool) -> list[Any]:
    """How Accelerate is to make the process group, where there is one."""
    rank, world = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
    alone = world == "1" and not (gpu and "LOCAL_RANK" in os.environ)
    on_several_nodes = os.environ.get("GROUP_WORLD_SIZE", "1") != "1"
    if alone or on_several_nodes:
        return []
    from accelerate.utils import InitProcessGroupKwargs

    file = f"file://{folder.absolute()}/meeting-{os.environ.get('TORCHELASTIC_RUN_ID', 'once')}"
    # On CPUs Accelerate hands rank and size over itself; for GPUs the address has to tell.
    address = f"{file}?rank={rank}&world_size={world}" if gpu else file
    return [InitProcessGroupKwargs(backend="nccl" if gpu else "gloo", init_method=address)]
