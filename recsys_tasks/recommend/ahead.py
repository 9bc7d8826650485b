"""The next part is made while the one before it is worked on."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Part = TypeVar("Part")
END = object()


@contextmanager
def ahead(parts: Iterable[Part]) -> Iterator[Iterator[Part]]:
    """
    The same parts in their order, made by a thread of their own: the first from now on, every other one while the one
    before it is worked on, so there are two of them at most. What making one raises comes where it is asked for.
    """
    made = iter(parts)
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, made, END)

        def each() -> Iterator[Part]:
            nonlocal coming
            while (part := coming.result()) is not END:
                coming = thread.submit(next, made, END)
                yield part  # type: ignore[misc]

        yield each()
