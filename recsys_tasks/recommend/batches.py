"""Shoppers batch by batch: some batches at a time, in order, with memory that does not grow with their number."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import polars as pl

from recsys_tasks.recommend.context import Context
from recsys_tasks.recommend.shoppers import Shoppers

Part = TypeVar("Part")
Result = TypeVar("Result")

# Shoppers served together.
BATCH = 1250
# Batches at a time: the work is array code, which runs beside other threads. Each holds some 300 MB.
WORKERS = min(4, len(os.sched_getaffinity(0)))


def batches_of(context: Context, users: pl.Series) -> Iterator[Shoppers]:
    """The distinct ``users``, by id, at most BATCH a time."""
    ids = users.unique().sort()
    for first in range(0, len(ids), BATCH):
        yield Shoppers(context, ids.slice(first, BATCH))


def in_order(work: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
    """``work`` of each part, in the order of the parts; at most WORKERS parts are under way or wait to be read."""
    with ThreadPoolExecutor(WORKERS) as pool:
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
