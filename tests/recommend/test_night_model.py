from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from recsys_tasks.index.index import ItemIndex
from recsys_tasks.recommend import batches, ranker_data
from recsys_tasks.recommend.batch import Batch
from recsys_tasks.recommend.candidates import SOURCES
from recsys_tasks.recommend.features import NAMES
from recsys_tasks.recommend.pool import pool_of
from recsys_tasks.recommend.ranker import HEADS, Groups, Ranker, fit_booster
from recsys_tasks.recommend.ranker_data import NEGATIVES, groups_at, sample_users, who_took_enough
from recsys_tasks.recommend.recommend import Recommender
from recsys_tasks.settings import RankerSettings
from tests.recommend.shop import NIGHT_END, lively, lively_items, lively_log, night_model, shoppers

EVERYONE = [f"u{n:02}" for n in range(30)]
CUT = 21


def taken(days_ago: float, days: float = 7) -> pl.DataFrame:
    since = NIGHT_END - timedelta(days=days_ago)
    return lively_log().filter(
        pl.col("occurred_at").is_between(since, since + timedelta(days=days), closed="left")
    )


def groups(model, cut=CUT, events=None, new_only=False) -> Groups | None:
    events = taken(cut) if events is None else events
    settings = model.settings.model_copy(update={"max_users": 100})
    return groups_at(model.at(lively(days_ago=cut)), events, settings, seed=1)[HEADS[new_only]]


def fitted() -> Ranker:
    model = night_model(lively_items())
    parts = [groups(model, cut=cut) for cut in (42, 35, 28)]
    return Ranker({"all": fit_booster(Groups.joined(parts), RankerSettings(trees=40), 1)})


def batch_of(some, model=None) -> Batch:
    return Batch(some, (model or night_model(lively_items())).at(some.context).sight)


def test_without_a_ranker_only_the_settings_decide_who_proposes():
    some = shoppers(lively(), *EVERYONE)
    for names in (["retrieval"], ["repeat", "popular"], ["neighbours", "segment", "category"]):
        model = night_model(lively_items(), sources=names)
        pool = pool_of(batch_of(some, model), model.settings, False)
        assert {SOURCES[number] for number in np.unique(pool.source)} == set(names)


def test_strangers_are_left_to_the_ladder():
    some = shoppers(lively(), "stranger", "u01")
    ranked = night_model(lively_items()).at(some.context).rank(some, new_only=False, limit=10)
    assert set(ranked.rows.shopper) == {1}


def test_without_a_ranker_the_towers_order():
    some = shoppers(lively(), "u01", "u02")
    rows = night_model(lively_items()).at(some.context).rank(some, new_only=False, limit=10).rows
    batch = batch_of(some)
    exact = batch.users @ batch.sight.items.T
    assert rows.score == pytest.approx(exact[rows.shopper, rows.item], abs=1e-4)


def test_among_new_items_popularity_has_a_weight_of_its_own():
    some = shoppers(lively(), "u01", "u02")
    rows = night_model(lively_items()).at(some.context).rank(some, new_only=True, limit=10).rows
    batch = batch_of(some)
    popularity = batch.sight.items[rows.item, -1]
    exact = (batch.users @ batch.sight.items.T)[rows.shopper, rows.item] + 0.5 * popularity
    assert popularity.any()
    assert rows.score == pytest.approx(exact, abs=1e-4)


def test_the_ranker_beats_its_tower_on_days_it_never_saw():
    wanted = taken(7).select("user_id", "item_id").unique()
    where = lively(days_ago=7)

    def hits(model):
        lists = Recommender(model, where).lists(wanted["user_id"], 3)
        return len(lists.join(wanted, on=["user_id", "item_id"]))

    towers = night_model(lively_items())
    assert hits(replace(towers, ranker=fitted())) > 1.3 * hits(towers)


def test_a_ready_index_serves_its_own_instant_only():
    where = lively()
    model = night_model(lively_items())
    sight = model.at(where).sight
    broken = ItemIndex.build(sight.index.item_ids, np.zeros_like(sight.items))
    for as_of, used in ((NIGHT_END, True), (NIGHT_END - timedelta(days=7), False)):
        given = replace(model, index=broken, index_as_of=as_of).at(where)
        assert (given.sight.index is broken) == used


def test_with_its_own_index_no_other_is_built(monkeypatch):
    where, model = lively(blocked_categories=["c1"]), night_model(lively_items())
    ready = replace(model, index=model.at(where).sight.fresh_index(), index_as_of=NIGHT_END)
    monkeypatch.setattr(ItemIndex, "build", lambda *_: pytest.fail("a second index was built"))
    ranked = ready.at(where).rank(shoppers(where, *EVERYONE), new_only=False, limit=10)
    assert (ranked.source == SOURCES.index("retrieval")).any()


def test_an_index_over_other_items_is_not_used():
    model = night_model(lively_items())
    index = model.at(lively()).sight.index
    ruled = replace(model, index=index, index_as_of=NIGHT_END).at(lively(blocked_items=["i01"]))
    assert len(ruled.sight.index) == len(index) - 1


def test_training_groups_hold_what_was_taken_and_a_sample_of_the_rest():
    made = groups(night_model(lively_items()))
    assert made.sizes.sum() == len(made.labels) == len(made.values)
    per_group = np.split(made.labels, np.cumsum(made.sizes)[:-1])
    assert all(group.sum() >= 1 for group in per_group)
    assert all((group == 0).sum() <= NEGATIVES * 1.5 for group in per_group)


def test_training_groups_of_new_items_hold_no_known_one():
    new = groups(night_model(lively_items()), new_only=True)
    assert 0 < new.labels.sum() < groups(night_model(lively_items())).labels.sum()
    assert (new.values[:, NAMES.index("own_15")] == 0).all()


def test_training_groups_do_not_depend_on_the_order_of_the_labels():
    model = night_model(lively_items())
    one, other = groups(model), groups(model, events=taken(CUT).reverse())
    assert np.array_equal(one.values, other.values, equal_nan=True)
    assert np.array_equal(one.labels, other.labels)


def test_training_groups_do_not_depend_on_the_batches(monkeypatch):
    # So few that most of what was offered is left out.
    monkeypatch.setattr(ranker_data, "NEGATIVES", 5)
    one = {new_only: groups(night_model(lively_items()), new_only=new_only) for new_only in (False, True)}
    monkeypatch.setattr(batches, "BLOCK", 4)
    monkeypatch.setattr(batches, "WORKERS", 3)
    for new_only, whole in one.items():
        parts = groups(night_model(lively_items()), new_only=new_only)
        assert np.array_equal(parts.values, whole.values, equal_nan=True)
        assert np.array_equal(parts.labels, whole.labels)
        assert np.array_equal(parts.sizes, whole.sizes)


def test_nobody_taking_a_candidate_gives_no_groups():
    nothing = taken(CUT).head(0)
    assert groups(night_model(lively_items()), events=nothing) is None


def test_a_sample_of_shoppers_is_sorted_and_repeats():
    users = pl.Series(EVERYONE).reverse()
    assert sample_users(users, 99, 1).to_list() == EVERYONE
    few = sample_users(users, 5, 1)
    assert few.to_list() == sorted(few) == sample_users(users.reverse(), 5, 1).to_list()


def test_no_more_shoppers_than_took_enough_and_no_fewer_than_half():
    # Shopper n takes n + 1 items, each twice.
    rows = [(user, f"i{item}") for n, user in enumerate(EVERYONE) for item in range(n + 1)] * 2
    events = pl.DataFrame(rows, schema=["user_id", "item_id"], orient="row")
    users, counts = pl.Series(EVERYONE), {user: n + 1 for n, user in enumerate(EVERYONE)}

    def chosen(enough: int, events: pl.DataFrame = events) -> list[str]:
        return who_took_enough(users, events, enough, seed=3).to_list()

    assert chosen(sum(counts.values())) == chosen(10**6) == EVERYONE
    for enough in (300, 400, 464):
        some = chosen(enough)
        assert some == sorted(some) == chosen(enough, events.reverse())
        assert enough <= sum(counts[user] for user in some) < enough + len(EVERYONE)
        assert set(some) <= set(chosen(enough + 30))
    assert len(chosen(1)) == len(EVERYONE) / 2
    assert who_took_enough(users.clear(), events, 5, seed=3).to_list() == []


def test_new_items_are_learned_from_all_shoppers_and_everything_from_as_many_as_took_enough():
    model = night_model(lively_items())

    def sizes(**limits: int) -> list[int]:
        settings = model.settings.model_copy(update={"max_users": 100, **limits})
        found = groups_at(model.at(lively(days_ago=CUT)), taken(CUT), settings, seed=1)
        return [len(found[head].sizes) for head in HEADS]

    everything, new = sizes()
    fewer, as_many = sizes(taken_per_cut=1)
    assert as_many == new
    assert 0.3 * everything < fewer < 0.7 * everything
