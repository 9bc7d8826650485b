"""A property that is computed once, without the lock that ``functools.cached_property`` has before Python 3.12."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

Value = TypeVar("Value")


class Lazy(Generic[Value]):
    """
    For objects that one thread works on: that lock is one for all objects of a class, so batches would wait for each
    other. What threads share keeps ``cached_property``: there the second one should wait.
    """

    def __init__(self, compute: Callable[[Any], Value]) -> None:
        self.compute = compute
        self.__doc__ = compute.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> "Lazy[Value]": ...
    @overload
    def __get__(self, instance: object, owner: type) -> Value: ...
    def __get__(self, instance: object | None, owner: type) -> "Lazy[Value] | Value":
        if instance is None:
            return self
        # Found before this descriptor the next time, since it defines no __set__.
        value = instance.__dict__[self.compute.__name__] = self.compute(instance)
        return value
