from datetime import timedelta

import polars as pl
import pytest

from recsys_tasks.recommend import batches
from recsys_tasks.recommend.candidates import SHOPWIDE
from recsys_tasks.recommend.model import PopularModel, RepeatModel
from recsys_tasks.recommend.recommend import Recommender, side_by_side
from recsys_tasks.schema import Recommendations
from tests.recommend.shop import (
    NIGHT_END,
    bought,
    catalogue,
    context,
    lively,
    lively_items,
    lively_log,
    log,
    night_model,
)

EVERYONE = pl.Series([f"u{n:02}" for n in range(30)] + ["stranger"])
MODELS = {
    "night": night_model(lively_items()),
    "popular": PopularModel(),
    "repeat": RepeatModel(),
}


@pytest.fixture(params=MODELS)
def model(request):
    return MODELS[request.param]


def lists(model, where=None, users=EVERYONE, top_k=10, new_only=False):
    return Recommender(model, where or lively()).lists(users, top_k, new_only=new_only)


def items_of(frame, user="u07"):
    return frame.filter(pl.col("user_id") == user)["item_id"].to_list()


def lengths(frame):
    return frame.group_by("user_id").len()["len"].unique().to_list()


@pytest.mark.parametrize("new_only", [False, True])
def test_everybody_gets_a_full_list_that_keeps_the_contract(model, new_only):
    frame = Recommendations.validate(lists(model, new_only=new_only))
    assert frame["user_id"].n_unique() == len(EVERYONE)
    assert lengths(frame) == [10]
    assert frame["score"].is_not_nan().all()


def test_scores_fall_with_the_rank(model):
    frame = lists(model).sort("user_id", "rank")
    falls = frame.select((pl.col("score").diff().over("user_id") <= 0).fill_null(True))
    assert falls.to_series().all()


def test_new_only_shows_nothing_the_shopper_has_an_event_with(model):
    frame = lists(model, new_only=True, top_k=25)
    assert frame.join(lively_log(), on=["user_id", "item_id"], how="semi").is_empty()


def test_rules_leave_out_items_and_the_list_stays_full(model):
    frame = lists(model, lively(blocked_categories=["c0", "c1"], blocked_items=["i02"]), top_k=20)
    kinds = frame.join(lively_items(), on="item_id")
    assert not kinds["category"].is_in(["c0", "c1"]).any()
    assert "i02" not in frame["item_id"]
    assert lengths(frame) == [20]


def test_a_catalogue_smaller_than_the_list_gives_what_it_has(model):
    assert lengths(lists(model, lively(blocked_categories=["c0", "c1", "c2", "c3"]), top_k=20)) == [8]


def test_nothing_allowed_gives_no_rows(model):
    assert lists(model, lively(blocked_categories=[f"c{n}" for n in range(5)])).is_empty()


def test_a_shopper_gets_the_same_alone_as_among_others(model):
    crowd, alone = lists(model), lists(model, users=pl.Series(["u07"]))
    assert items_of(crowd) == items_of(alone)


def test_the_order_of_shoppers_and_the_batch_do_not_matter(model, monkeypatch):
    before = lists(model)
    monkeypatch.setattr(batches, "BATCH", 7)
    monkeypatch.setattr(batches, "BLOCK", 1)
    assert lists(model, users=EVERYONE.reverse()).drop("score").equals(before.drop("score"))


def test_lists_that_are_only_scored_are_the_same_without_reasons(model):
    assert lists(model).drop("reason").equals(Recommender(model, lively()).lists(EVERYONE, 10, explain=False))


def test_lists_made_side_by_side_are_those_made_alone(monkeypatch):
    monkeypatch.setattr(batches, "BATCH", 7)
    monkeypatch.setattr(batches, "BLOCK", 1)
    where = lively()
    makers = {name: Recommender(model, where) for name, model in MODELS.items()}
    together = side_by_side(makers, EVERYONE, 10)
    assert set(together) == {(name, new_only) for name in MODELS for new_only in (False, True)}
    for (name, new_only), frame in together.items():
        alone = makers[name].lists(EVERYONE, 10, new_only=new_only, explain=False)
        assert frame.equals(alone), name


def test_two_runs_are_equal_to_the_last_bit(model):
    assert lists(model).equals(lists(model))


def test_what_happens_after_the_instant_changes_nothing(model):
    shorter = lively_log().filter(pl.col("occurred_at") < NIGHT_END - timedelta(days=10))
    early = context(shorter, lively_items(), days_ago=10)
    assert lists(model, lively(days_ago=10)).equals(lists(model, early))


def test_a_stranger_gets_what_is_popular_and_reads_why(model):
    frame = lists(model).filter(pl.col("user_id") == "stranger")
    where = lively()
    order = where.popularity.order if isinstance(model, PopularModel) else where.ladder
    assert frame["item_id"].to_list() == where.items.gather(order[: len(frame)]).to_list()
    assert frame["source"].unique().to_list() == ["popular"]
    assert frame["reason"][0] == "popular this week"


def test_a_shopper_of_items_no_longer_listed_is_served_by_the_ladder(model):
    events = pl.concat([lively_log(), log(*bought("zed", "gone", 1, 8))])
    frame = lists(model, context(events, lively_items()), pl.Series(["zed", "u01"]))
    rows = frame.filter(pl.col("user_id") == "zed")
    assert rows["source"].unique().to_list() == ["popular"]
    assert not rows["reason"].is_in(["picked for you"]).any()


def test_repeat_purchase_is_followed_by_what_is_popular():
    events = log(*bought("ann", "tea", 3, 10, 17), *bought("bob", "cup", 1), *bought("cat", "cup", 1))
    frame = lists(RepeatModel(), context(events, catalogue("cup", "mat", "tea")), pl.Series(["ann"]), 3)
    assert frame.select("item_id", "source", "reason").rows() == [
        ("tea", "repeat", "you buy this about every 7 days"),
        ("cup", "popular", "popular this week"),
        ("mat", "popular", "new to explore"),
    ]


def test_one_view_is_enough_for_an_own_list():
    events = pl.concat([lively_log(), log(("newcomer", "i05", "view", 0.5))])
    frame = lists(MODELS["night"], context(events, lively_items()), pl.Series(["newcomer"]))
    assert not frame["source"][:5].is_in(SHOPWIDE).any()
    assert (
        lists(PopularModel(), users=pl.Series(["newcomer"]))["item_id"].to_list()
        != frame["item_id"].to_list()
    )


def test_below_the_own_model_stands_the_segment_and_below_that_the_shop():
    model = night_model(lively_items(), sources=["repeat", "segment"], history_items=3, per_source=4)
    frame = lists(model, users=pl.Series(["u07", "stranger"]), top_k=12)
    sources = dict(frame.group_by("user_id").agg("source").iter_rows())
    assert set(sources["stranger"]) == {"popular"}
    fillers = [source == "popular" for source in sources["u07"]]
    assert fillers == sorted(fillers)
    assert set(sources["u07"]) == {"repeat", "segment", "popular"}
