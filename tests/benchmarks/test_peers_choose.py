"""Hyper-parameters come from inside the log."""

import numpy as np
import polars as pl
import pytest

from benchmarks.peers import choose
from benchmarks.peers.base import Log
from benchmarks.peers.coded import DAY_US, popularity
from benchmarks.peers.popular import SameForAll
from recsys_tasks.errors import DataError
from tests.benchmarks.peer_logs import CUT, events, ordered, timed


def test_the_last_28_days_are_held_out_where_enough_shoppers_come(monkeypatch):
    monkeypatch.setattr(choose, "MIN_USERS", 5)
    log = timed()
    inner = choose.split(log)
    assert inner.log.cut == CUT - 28 * DAY_US
    assert inner.log.times.max() < inner.log.cut
    later = pl.DataFrame({"user_id": log.users, "item_id": log.items}).filter(log.times >= inner.log.cut)
    on_offer = later.filter(later["item_id"].is_in(inner.log.items_offered.implode())).unique()
    assert (
        inner.targets.select("user_id", "item_id")
        .sort("user_id", "item_id")
        .equals(on_offer.sort("user_id", "item_id"))
    )


def test_a_window_of_few_shoppers_grows_to_at_most_a_fifth():
    inner = choose.split(timed())
    first = int(timed().times[0])
    assert inner.log.cut == CUT - int((CUT - first) / 5)


def test_an_item_launched_in_the_held_out_days_is_not_on_offer_there():
    frame = pl.concat(
        [events(), pl.DataFrame({"user_id": ["u001"], "item_id": ["i999"], "occurred_at": [399 * DAY_US]})]
    )
    log = timed(frame)
    inner = choose.split(log)
    assert "i999" in log.items_offered
    assert "i999" not in inner.log.items_offered
    assert "i999" not in inner.targets["item_id"]
    assert "i900" in inner.log.items_offered, "an item that nobody has bought yet may have been there"


def test_only_wanted_events_are_targets_while_all_make_an_item_seen():
    log = Log(
        users=pl.Series(["a", "a", "a"]),
        items=pl.Series(["x", "y", "x"]),
        items_offered=pl.Series(["x", "y"]),
        times=pl.Series([0, 90 * DAY_US, 95 * DAY_US]),
        wanted=pl.Series([False, False, True]),
        as_of=100 * DAY_US,
    )
    inner = choose.split(log)
    assert inner.targets.rows() == [("a", "x", False)]


def test_without_times_each_user_s_last_event_is_held_out():
    log = ordered()
    inner = choose.split(log)
    last = (
        pl.DataFrame({"user_id": log.users, "item_id": log.items}).group_by("user_id").last().sort("user_id")
    )
    assert inner.targets.select("user_id", "item_id").equals(last)
    assert len(inner.log) == len(log) - len(last)


def test_a_user_of_one_event_keeps_it():
    log = Log(pl.Series(["a", "b", "b"]), pl.Series(["x", "x", "y"]), pl.Series(["x", "y"]))
    inner = choose.split(log)
    assert inner.log.users.to_list() == ["a", "b"]
    assert inner.targets.rows() == [("b", "y", True)]


def opinion_of(log, wrong):
    """Popularity, turned round where ``wrong``."""
    count = popularity(log, log.items_offered).astype(np.float32)
    return SameForAll(log.users.unique().sort(), log.items_offered, -count if wrong else count)


@pytest.mark.parametrize("order", [1, -1])
def test_the_setting_that_predicts_the_held_out_events_wins(order):
    inner = choose.split(timed())
    grid = [{"wrong": True}, {"wrong": False}][::order]
    chosen = choose.choose(inner, grid, lambda settings: opinion_of(inner.log, settings["wrong"]))
    assert chosen == {True: {"wrong": False}, False: {"wrong": False}}


def test_equal_settings_leave_it_at_the_first():
    inner = choose.split(timed())
    chosen = choose.choose(inner, [{"n": 1}, {"n": 2}], lambda settings: opinion_of(inner.log, False))
    assert chosen == {True: {"n": 1}, False: {"n": 1}}


def test_each_seen_rule_is_judged_by_its_own_lists():
    """Shoppers who buy two things again and one new one: what was seen leads one list, and may not be in the other."""
    bought = [(1, "again"), (2, "b"), (95, "again"), (96, "b"), (97, "new")]
    rows = [("z", "new", 0)] + [(f"u{user}", item, day * DAY_US) for day, item in bought for user in range(4)]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "occurred_at"], orient="row")
    inner = choose.split(Log.of(frame, pl.Series(["again", "b", "c", "new"]), 100 * DAY_US))
    scores = {"repeat": [3, 2, 1, 0], "fresh": [0, 0, 2, 3]}

    def learn(settings):
        score = np.array(scores[settings["say"]], np.float32)
        return SameForAll(inner.log.users.unique().sort(), inner.log.items_offered, score)

    for grid in ([{"say": "repeat"}, {"say": "fresh"}], [{"say": "fresh"}, {"say": "repeat"}]):
        assert choose.choose(inner, grid, learn) == {False: {"say": "repeat"}, True: {"say": "fresh"}}


def test_a_log_without_anything_held_out_takes_the_first():
    log = Log(pl.Series(["a"]), pl.Series(["x"]), pl.Series(["x"]))
    chosen = choose.choose(choose.split(log), [{"n": 1}, {"n": 2}], pytest.fail)
    assert chosen == {True: {"n": 1}, False: {"n": 1}}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"items": pl.Series(["x"])}, "Log.items has 1 rows"),
        ({"items_offered": pl.Series(["y", "x"])}, "must be sorted"),
        ({"items_offered": pl.Series(["x", "x"])}, "distinct"),
        ({"times": pl.Series([5, 4])}, "must not fall"),
        ({"times": pl.Series([4, 5]), "as_of": 5}, "at or after as_of"),
    ],
)
def test_a_log_that_would_spoil_a_fit_is_refused(fields, message):
    whole = {
        "users": pl.Series(["a", "b"]),
        "items": pl.Series(["x", "y"]),
        "items_offered": pl.Series(["x", "y"]),
    }
    with pytest.raises(DataError, match=message):
        Log(**{**whole, **fields})
