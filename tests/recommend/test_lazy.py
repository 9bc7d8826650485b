import threading
from dataclasses import dataclass

from recsys_tasks.recommend.lazy import Lazy


@dataclass(frozen=True)
class Sum:
    parts: tuple[int, ...]
    made: list[int]

    @Lazy
    def total(self) -> int:
        """All of it."""
        self.made.append(1)
        return sum(self.parts)


def test_it_is_computed_once_for_each_object():
    one, other = Sum((1, 2), []), Sum((3,), [])
    assert [one.total, one.total, other.total] == [3, 3, 3]
    assert (one.made, other.made) == ([1], [1])


def test_it_keeps_its_words():
    assert Sum.total.__doc__ == "All of it."


def test_two_objects_are_computed_side_by_side():
    both = threading.Barrier(2, timeout=10)

    class Waiting:
        @Lazy
        def met(self) -> bool:
            both.wait()
            return True

    threads = [threading.Thread(target=lambda: Waiting().met) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not both.broken
