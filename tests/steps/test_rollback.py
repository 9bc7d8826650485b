"""Going back by hand."""

import pytest

from recsys_tasks.errors import PublishRefused, SettingsError
from recsys_tasks.settings import load_settings
from recsys_tasks.steps.rollback import roll_back
from recsys_tasks.store.store import open_store
from tests.shop import make_shop
from tests.store.builders import MONDAY, TUESDAY, WEDNESDAY, candidate, lists


@pytest.fixture
def store(tmp_path, monkeypatch):
    shop = make_shop(tmp_path / "shop", encoder=tmp_path, shoppers=3, days=20)
    monkeypatch.setenv("RECSYS_SHOP", str(shop.file))
    return open_store(load_settings().database, tmp_path)


def test_the_lists_before_are_live_again(store):
    for night in (MONDAY, TUESDAY):
        store.publish(candidate(night), [lists()])
    facts = roll_back(why="bad prices", who="ann")
    assert (facts["generation"], facts["night"], facts["why"]) == (1, "2026-03-02", "bad prices")
    assert store.live().id == 1


def test_twice_in_a_week_is_back_to_the_good_lists(store):
    store.publish(candidate(MONDAY), [lists()])
    for night in (TUESDAY, WEDNESDAY):
        store.publish(candidate(night), [lists()])
        assert roll_back(why="bad prices", who="ann")["night"] == "2026-03-02"
    assert roll_back(2, why="they were fine", who="ann")["night"] == "2026-03-03"


def test_with_nothing_to_go_back_to_it_is_refused(store):
    with pytest.raises(PublishRefused, match="publish a night first"):
        roll_back(why="bad prices", who="ann")


@pytest.mark.parametrize("why", ["", "  ", "x ", "x" * 201])
def test_a_reason_that_says_nothing_moves_nothing(store, why):
    for night in (MONDAY, TUESDAY):
        store.publish(candidate(night), [lists()])
    with pytest.raises(SettingsError, match="3 to 200 characters"):
        roll_back(why=why, who="ann")
    assert store.live().id == 2
