"""How lists stream through a load: some are made ready while those before are written, and texts go in parts."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import TypeVar

import polars as pl

from recsys_tasks.store.shards import Coding, Shard
from recsys_tasks.store.texts import Texts

Given = TypeVar("Given")
Ready = TypeVar("Ready")


def ahead(make: Callable[[Given], Ready], given: Iterator[Given]) -> Iterator[Ready]:
    """What is made of each, in order; a thread makes the next while the caller has one."""
    with ThreadPoolExecutor(1) as pool:
        ready: Future[Ready] | None = None
        for one in given:
            coming = pool.submit(make, one)
            if ready is not None:
                yield ready.result()
            ready = coming
        if ready is not None:
            yield ready.result()


def made(
    lists: Iterator[pl.DataFrame], items: Texts, make: Callable[[Texts, Shard], Ready]
) -> Iterator[tuple[Texts, Iterator[Ready]]]:
    """
    What is made of each shard, in parts; with each part its words, which are all there once its shards are used up.

    One thread looks up texts, another makes what the caller then writes.
    """
    for words, frames in parts(lists):
        shards = ahead(partial(Shard.of, coding=Coding(items, words)), frames)
        yield words, ahead(partial(make, words), shards)


def parts(frames: Iterator[pl.DataFrame]) -> Iterator[tuple[Texts, Iterator[pl.DataFrame]]]:
    """All frames, in parts whose texts are not too many to be held; each part is used up before the next."""
    first = 0
    for frame in frames:
        texts = Texts(first)
        yield texts, chain([frame], _until_many(frames, texts))
        first = texts.end


def _until_many(frames: Iterator[pl.DataFrame], texts: Texts) -> Iterator[pl.DataFrame]:
    while not texts.are_many:
        frame = next(frames, None)
        if frame is None:
            return
        yield frame
