import pytest

from recsys_tasks.evaluate.relative import LEAST, relative_gain


def test_a_gain_is_a_share_of_what_it_is_over():
    assert relative_gain(0.12, 0.1) == pytest.approx(0.2)
    assert relative_gain(0.08, 0.1) == pytest.approx(-0.2)


def test_next_to_nothing_makes_no_gain_of_thousands():
    assert relative_gain(0.002, 0.0) == pytest.approx(0.002 / LEAST)
    assert relative_gain(0.0, 0.0) == 0.0
