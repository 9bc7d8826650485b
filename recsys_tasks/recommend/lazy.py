"""What is computed once: a property without ``functools.cached_property``'s lock (before Python 3.12), and views."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload
from weakref import WeakValueDictionary

Value = TypeVar("Value")


class Views:
    """
    What others make of an object, once for each of them (by identity), until it is told to ``forget``.

    A view that holds the object makes a ring, which only a full garbage collection would find.
    """

    def __init__(self) -> None:
        # With a view stands whose it is: while that lives, nobody else gets its identity.
        self._kept: dict[int, tuple[object, Any]] = {}

    def of(self, who: object, look: Callable[[], Value]) -> Value:
        """``look()``, the first time that ``who`` asks."""
        if id(who) not in self._kept:
            self._kept[id(who)] = (who, look())
        view: Value = self._kept[id(who)][1]
        return view

    def forget(self) -> None:
        """Let go of every view."""
        self._kept.clear()


class LentViews:
    """The same, but a view goes with the last one that uses it; each must hold whose it is."""

    def __init__(self) -> None:
        self._lent: WeakValueDictionary[int, Any] = WeakValueDictionary()

    def of(self, who: object, look: Callable[[], Value]) -> Value:
        """``look()``, where nobody uses what ``who`` was shown before."""
        view: Value | None = self._lent.get(id(who))
        if view is None:
            view = self._lent[id(who)] = look()
        return view


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
