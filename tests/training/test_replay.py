from datetime import timedelta

import pytest

from recsys_tasks.training.replay import limited
from tests.training import text_shop
from tests.training.text_shop import CUT, START

SEEN, END = START + timedelta(weeks=13), START + timedelta(weeks=200)
EVERYTHING = text_shop.source(with_pairs=True)
TIMES = {"examples": "positives_until", "pairs": "occurred_at"}


def rows_of(source, name):
    """What is older than SEEN, and what is not, before CUT."""
    rows = getattr(source, name)
    rows = rows.filter(rows[TIMES[name]] < CUT)
    return rows.filter(rows[TIMES[name]] < SEEN), rows.filter(rows[TIMES[name]] >= SEEN)


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.5, 0.6])
def test_no_more_than_the_share_is_old_and_no_less_than_it_allows(name, share):
    old, new = rows_of(limited(EVERYTHING, CUT, SEEN, share, 1), name)
    everything_old, everything_new = rows_of(EVERYTHING, name)
    assert len(getattr(EVERYTHING, name)) > len(everything_old) + len(everything_new), "some reach behind CUT"
    assert new.equals(everything_new)
    assert 0 <= share * (len(old) + len(new)) - len(old) < 1
    assert len(old) < len(everything_old)


@pytest.mark.parametrize(("new", "share", "old"), [(10, 0.6, 15), (30, 0.7, 70), (10, 0.9, 90), (7, 0.5, 7)])
def test_a_share_that_comes_out_even_is_met_exactly(new, share, old):
    """0.6 / (1 - 0.6) is a hair below 1.5 in a computer's numbers."""
    long = EVERYTHING.examples.filter(EVERYTHING.examples["positives_until"] < SEEN).head(100)
    fresh = EVERYTHING.examples.filter(EVERYTHING.examples["positives_until"] >= SEEN).head(new)
    source = text_shop.source()
    source = type(source)(**{**vars(source), "examples": long.vstack(fresh)})
    assert len(limited(source, END, SEEN, share, 1).examples) == new + old


@pytest.mark.parametrize("name", TIMES)
def test_what_is_old_by_less_than_the_share_stays_whole(name):
    for share in (0.99, 1.0):
        assert getattr(limited(EVERYTHING, END, SEEN, share, 1), name).equals(getattr(EVERYTHING, name))


@pytest.mark.parametrize("name", TIMES)
def test_the_order_stays_and_the_draw_is_the_seed_s(name):
    one, same, other = (getattr(limited(EVERYTHING, CUT, SEEN, 0.3, seed), name) for seed in (1, 1, 2))
    assert one.equals(same)
    assert not one.equals(other)
    in_order = getattr(EVERYTHING, name).join(one, on=one.columns, how="semi", maintain_order="left")
    assert one.equals(in_order)


def test_with_nothing_new_only_the_whole_share_leaves_anything():
    after_all = START + timedelta(weeks=100)
    assert limited(EVERYTHING, END, after_all, 0.9, 1).examples.is_empty()
    assert limited(EVERYTHING, END, after_all, 1.0, 1).examples.equals(EVERYTHING.examples)


def test_what_ends_at_the_moment_itself_is_new():
    last = EVERYTHING.pairs["occurred_at"].max()
    assert limited(EVERYTHING, END, last, 0.0, 1).pairs["occurred_at"].to_list() == [last]
