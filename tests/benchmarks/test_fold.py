from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from benchmarks.cold_items import ALL, AMONG_ALL, AMONG_COLD, NEW, relevant
from benchmarks.fold import Fold, fold_home
from benchmarks.scene import Scene
from recsys_tasks.errors import SettingsError
from tests.benchmarks.shop import CUT

DAYS = 14


@pytest.fixture(scope="module")
def made(home):
    return fold_home(home, CUT, Fold(1, 4, seed=3))


@pytest.fixture(scope="module")
def scene(made) -> Scene:
    return Scene(made.home.job(CUT))


def test_folds_part_the_items_and_do_not_depend_on_their_order():
    items = pl.Series([f"i{number}" for number in range(100)])
    parts = [set(Fold(number, 5, 1).of(items)) for number in range(5)]
    assert sum(map(len, parts)) == 100
    assert set().union(*parts) == set(items)
    assert Fold(2, 5, 1).of(items).equals(Fold(2, 5, 1).of(items.reverse()))


@pytest.mark.parametrize(("number", "count"), [(0, 1), (-1, 6), (6, 6)])
def test_a_fold_that_does_not_exist_is_refused(number, count):
    with pytest.raises(SettingsError):
        Fold(number, count, 0)


def test_the_folds_events_are_gone_and_the_others_stay(home, made, scene):
    whole = home.job(CUT).lake.snapshot(scene.snapshot.as_of).events
    is_held = pl.col("item_id").is_in(made.held_out.implode())
    assert len(made.held_out) > 10
    assert scene.snapshot.events.equals(whole.filter(~is_held))


def test_nothing_behind_the_cut_lies_in_the_folds_lake(scene):
    lake, as_of = scene.job.lake, scene.snapshot.as_of
    assert lake.events_between(as_of, as_of + timedelta(days=400)).is_empty()


def test_the_fold_is_offered_as_launches_of_the_night(made, scene):
    assert set(made.held_out) <= set(scene.offered)
    held = scene.snapshot.items.filter(pl.col("item_id").is_in(made.held_out.implode()))
    night = datetime(CUT.year, CUT.month, CUT.day, tzinfo=UTC) - timedelta(days=1)
    assert held["available_from"].unique().to_list() == [night]
    assert held["proven"].all()


def test_the_night_before_does_not_know_the_fold(made, scene):
    earlier = scene.job.lake.catalogue(scene.snapshot.as_of - timedelta(microseconds=1))
    assert not set(earlier["item_id"]) & set(made.held_out)
    assert set(earlier["item_id"]) | set(made.held_out) == set(scene.snapshot.items["item_id"])


def test_what_counts_is_new_by_the_whole_log(home, made, scene):
    wanted = relevant(home.job(CUT), scene, made.held_out, DAYS)
    known = set(
        home.job(CUT).lake.snapshot(scene.snapshot.as_of).events.select("user_id", "item_id").iter_rows()
    )
    held = set(made.held_out)
    cold = set(wanted[AMONG_COLD].iter_rows())
    assert cold == set(wanted[AMONG_ALL].iter_rows())
    assert cold
    assert not cold & known
    assert {item for _, item in cold} <= held
    assert cold == {row for row in wanted[NEW].iter_rows() if row[1] in held}
    assert cold == {row for row in wanted[ALL].iter_rows() if row[1] in held}
