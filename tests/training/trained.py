"""
One training by as many processes as are asked for, without torchrun.

Most of what a test under torchrun takes is loading torch three times. These are forks of a process that has it
loaded and has computed nothing yet; ``launch`` has tests of its own.
"""

import multiprocessing
import os
from importlib import import_module
from multiprocessing.context import ForkServerContext
from pathlib import Path
from types import ModuleType

PRELOADED = ["tests.training.dying", "accelerate", "transformers.models.bert.modeling_bert"]


def forks() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def trained(module: ModuleType, folder: Path, processes: int) -> None:
    """Every process ends well, or this fails; one process is this one."""
    if processes == 1:
        module.main(folder)
        return
    started = [
        forks().Process(target=_worker, args=(module.__name__, folder, rank, processes))
        for rank in range(processes)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join()
    assert [process.exitcode for process in started] == [0] * processes


def _worker(module: str, folder: Path, rank: int, world: int) -> None:
    os.environ |= {
        **{"RANK": f"{rank}", "LOCAL_RANK": f"{rank}", "WORLD_SIZE": f"{world}"},
        # Nobody listens there: they meet in a file of the folder.
        **{"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500", "GLOO_SOCKET_IFNAME": "lo"},
    }
    import_module(module).main(folder)
