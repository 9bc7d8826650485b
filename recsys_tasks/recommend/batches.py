"""
Shoppers batch by batch: some batches at a time, in order, with memory that does not grow with their number.

Batches are what keeps the cores busy, so a matrix product in one has a single thread (``model.one_blas_thread``).
"""

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import polars as pl

from recsys_tasks.model.one_blas_thread import ONE_BLAS_THREAD
from recsys_tasks.recommend.context import Context
from recsys_tasks.recommend.shoppers import Shoppers

Part = TypeVar("Part")
Result = TypeVar("Result")

# As many shoppers are served together, at most.
BATCH = 1280
# As many at least, where there are so many: matrix products are made of whole blocks, whoever fills them.
BLOCK = 256
# Batches at a time: the work is array code, which runs beside other threads. Each holds some 300 MB.
WORKERS = min(4, len(os.sched_getaffinity(0)))


def batches_of(context: Context, users: pl.Series) -> Iterator[Shoppers]:
    """The distinct ``users``, by id, at most BATCH a time, in about equal shares for the WORKERS."""
    ids = users.unique().sort()
    size = batch_size(len(ids))
    for first in range(0, len(ids), size):
        yield Shoppers(context, ids.slice(first, size))


def batch_size(shoppers: int) -> int:
    """How many of so many shoppers make a batch: equal shares, so that no worker waits for the last one."""
    turns = math.ceil(shoppers / (BATCH * WORKERS))
    return max(BLOCK, math.ceil(shoppers / max(1, turns * WORKERS)))


def forgetful(work: Callable[[Shoppers], Result]) -> Callable[[Shoppers], Result]:
    """The same work; when a batch is done, what models kept of it goes."""

    def done(shoppers: Shoppers) -> Result:
        try:
            return work(shoppers)
        finally:
            shoppers.views.forget()

    return done


def in_order(work: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
    """
    ``work`` of each part, in the order of the parts; at most WORKERS parts are under way or wait to be read.

    Until it has been read to its end the BLAS of NumPy and SciPy has one thread, in the whole process.
    """
    with ONE_BLAS_THREAD, ThreadPoolExecutor(WORKERS) as pool:
        begun: deque[Future[Result]] = deque()
        try:
            for part in parts:
                if len(begun) == WORKERS:
                    yield begun.popleft().result()
                begun.append(pool.submit(work, part))
            while begun:
                yield begun.popleft().result()
        finally:
            for future in begun:
                future.cancel()
