from datetime import UTC, date, datetime
from itertools import pairwise

import pytest

from benchmarks.cuts import named, spread
from recsys_tasks.errors import NightOutOfRange, SettingsError

FIRST, LAST = datetime(2010, 12, 1, 8, 26, tzinfo=UTC), datetime(2011, 12, 9, 12, 50, tzinfo=UTC)


def test_cuts_lie_in_different_seasons_of_the_later_half():
    assert spread(FIRST, LAST, 3, 28) == [date(2011, 7, 10), date(2011, 9, 10), date(2011, 11, 11)]


@pytest.mark.parametrize("count", [1, 2, 5, 9])
@pytest.mark.parametrize("horizon", [7, 28, 90])
def test_every_cut_leaves_its_horizon_and_half_of_the_spacing_rule(count, horizon):
    cuts = spread(FIRST, LAST, count, horizon)
    assert len(cuts) == count
    assert (LAST.date() - cuts[-1]).days == horizon
    assert {(b - a).days for a, b in pairwise(cuts)} <= {373 // (2 * count)}
    assert cuts[0] > FIRST.date()


@pytest.mark.parametrize(("count", "horizon"), [(0, 28), (200, 28), (3, 370)])
def test_a_log_that_is_too_short_is_refused(count, horizon):
    with pytest.raises(SettingsError):
        spread(FIRST, LAST, count, horizon)


def test_cuts_by_hand_are_sorted_and_distinct():
    assert named(["2011-08-01", "2011-06-01", "2011-08-01"], FIRST, LAST, 28) == [
        date(2011, 6, 1),
        date(2011, 8, 1),
    ]


@pytest.mark.parametrize("cut", ["2010-12-01", "2011-11-12", "soon"])
def test_a_cut_that_cannot_be_scored_is_refused(cut):
    with pytest.raises(NightOutOfRange):
        named([cut], FIRST, LAST, 28)
