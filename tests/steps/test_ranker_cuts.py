from datetime import date

import pytest

from recsys_tasks.calendar import Night
from recsys_tasks.settings import RankerSettings
from recsys_tasks.steps.ranker_cuts import SCALES, cuts, plans

# A zone without a change of clocks: a day is a day.
NIGHT = Night(date(2026, 4, 10))


def backs(days: int, label_days: int) -> list[tuple[int, int]]:
    """(days from train_until back to the cut, and to the end of its labels)"""
    until = NIGHT.train_until
    return [((until - cut.at).days, (until - cut.until).days) for cut in cuts(NIGHT, days, label_days)]


def test_two_cuts_in_a_label_and_the_last_labels_end_where_the_window_begins():
    assert backs(28, 14) == [(28, 14), (21, 7), (14, 0)]
    assert backs(14, 7) == [(13, 6), (10, 3), (7, 0)]


def test_one_label_long_is_one_cut():
    assert backs(28, 28) == [(28, 0)]


def test_fewer_days_than_labels_take_give_one_short_cut():
    assert backs(10, 28) == [(10, 0)]


@pytest.mark.parametrize("days", range(1, 70, 3))
@pytest.mark.parametrize("label_days", [1, 7, 28])
def test_no_label_reaches_into_the_window(days, label_days):
    for plan in plans(NIGHT, RankerSettings(days=days, label_days=label_days)):
        assert plan
        assert all(cut.at < cut.until <= NIGHT.train_until for cut in plan)


def test_longer_plans_have_as_many_cuts_and_the_last_is_for_a_young_log():
    *scaled, young = plans(NIGHT, RankerSettings(days=56, label_days=28))
    assert [len(plan) for plan in scaled] == [3] * len(SCALES)
    assert [(NIGHT.train_until - plan[0].at).days for plan in scaled] == [56, 112, 224, 448]
    assert young == scaled[0][-1:]
