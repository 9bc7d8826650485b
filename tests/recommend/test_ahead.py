import threading

import pytest

from recsys_tasks.recommend.ahead import ahead


def test_parts_come_in_their_order():
    with ahead(range(5)) as parts:
        assert list(parts) == [0, 1, 2, 3, 4]


def test_the_first_part_is_made_before_anybody_asks():
    made = threading.Event()

    def parts():
        made.set()
        yield 1

    with ahead(parts()) as coming:
        assert made.wait(10)
        assert next(coming) == 1


def test_the_next_part_is_made_while_one_is_worked_on_and_none_behind_it():
    made = [threading.Event() for _ in range(3)]

    def parts():
        for number, event in enumerate(made):
            event.set()
            yield number

    with ahead(parts()) as coming:
        assert next(coming) == 0
        assert made[1].wait(10)
        assert not made[2].wait(0.2)
        assert list(coming) == [1, 2]


def test_what_making_a_part_raises_comes_where_it_is_asked_for():
    def parts():
        yield 1
        raise ValueError("the second part")

    with ahead(parts()) as coming:
        assert next(coming) == 1
        with pytest.raises(ValueError, match="the second part"):
            next(coming)


def test_parts_that_nobody_asks_for_are_left():
    with ahead(iter([1, 2])):
        pass
