"""One call in a process of its own, so that its seconds and its peak memory are its own."""

import logging
import multiprocessing
import os
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from recsys_tasks.errors import TrainingFailed
from recsys_tasks.steps.cost import Cost
from recsys_tasks.training.parent import die_with_parent

T = TypeVar("T")


@dataclass(frozen=True)
class Measured(Generic[T]):
    """What a call returned, its wall time, and the most memory it and its child processes held."""

    result: T
    seconds: float
    peak_mb: float


def measured(function: Callable[..., T], *arguments: Any) -> Measured[T]:
    """
    Run a module's function in a fresh interpreter; arguments and result are pickled.

    ``peak_mb`` includes the interpreter and its libraries (about 300 MB with torch). Errors come through as they are
    raised; TrainingFailed where the process was killed, as it is for memory.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=_begin, initargs=(os.getpid(),)) as pool:
        try:
            return pool.submit(_with_cost, function, arguments).result()
        except BrokenProcessPool:
            raise TrainingFailed(
                f"the process of {function.__module__}.{function.__name__} was killed: too little memory? "
                "give fewer shoppers (--max-users) or a larger machine"
            ) from None


def _begin(parent: int) -> None:
    # Whoever stops a benchmark means its work, too.
    die_with_parent(parent)
    warnings.filterwarnings("ignore")
    logging.basicConfig(level=logging.WARNING)


def _with_cost(function: Callable[..., T], arguments: tuple[Any, ...]) -> Measured[T]:
    with Cost() as cost:
        result = function(*arguments)
    return Measured(result, cost.seconds, cost.peak_mb)
