from datetime import timedelta
from typing import get_args

import numpy as np
import polars as pl
import pytest

from recsys_tasks.recommend.batch import Batch
from recsys_tasks.recommend.candidates import SOURCES
from recsys_tasks.recommend.features import GROUPS, NAMES, features
from recsys_tasks.recommend.features.column import likeness, products
from recsys_tasks.recommend.features.likeness import tower_scores
from recsys_tasks.recommend.pool import PROPOSE, Pool, pool_of
from recsys_tasks.recommend.proposals import Proposals, rank_within
from recsys_tasks.settings import FeatureGroup, RankerSettings
from tests.recommend.shop import (
    NIGHT_END,
    bought,
    catalogue,
    context,
    lively,
    lively_items,
    log,
    night_model,
    shoppers,
    vectors,
)


def row(name, shopper, item, *events, items=("cup", "mat", "tea"), **columns):
    """One feature of one (shopper, item)."""
    of = context(log(*events), catalogue(*items, **columns))
    batch = Batch(shoppers(of, shopper), night_model(of.snapshot.items).at(of).sight)
    pair = Proposals(np.array([0]), np.array([items.index(item)]), np.float32([0]))
    nowhere = np.full((1, len(SOURCES)), np.nan, np.float32)
    pool = Pool(pair, np.zeros(1, np.int8), nowhere, nowhere, new_only=False)
    return float(features(pool, batch)[0, NAMES.index(name)])


ANN = bought("ann", "tea", 3, 10, 17)
BOB = bought("bob", "tea", 1, 2)


@pytest.mark.parametrize(
    ("name", "item", "value"),
    [
        ("own_days", "tea", 3),
        ("own_last", "tea", 3),
        ("own_cadence", "tea", 7),
        ("own_due", "tea", 3 / 7),
        ("own_15", "tea", sum(2 ** (-age / 15) for age in (3, 10, 17))),
        ("own_days", "cup", 0),
        ("own_last", "cup", np.nan),
        ("category_share", "tea", 1),
        ("category_share", "cup", 0),
        ("item_buyers_7", "tea", np.log1p(2)),
        ("item_buyers_7", "mat", 0),
        ("item_buyers_28", "tea", np.log1p(2)),
        # Two buyers this week, two this month: four times the pace of the month.
        ("item_trend", "tea", np.log((4 * 2 + 1) / (2 + 1))),
        ("item_trend", "mat", 0),
        ("own_mean_due", "tea", 3 / (18 / 3)),
        ("item_age", "tea", 17),
        ("item_idle", "tea", 1),
        ("item_age", "mat", np.nan),
        ("item_returning", "tea", 1),
        ("shopper_days", "mat", 3),
    ],
)
def test_known_answers(name, item, value):
    assert row(name, "ann", item, *ANN, *BOB) == pytest.approx(value, rel=1e-4, nan_ok=True)


@pytest.mark.parametrize("group", ["category", "brand"])
def test_what_is_taken_of_a_group_speaks_for_its_other_items(group):
    """Cup and tea are of one kind, mat is of another; only tea and mat were bought."""
    events = (*ANN, *bought("ann", "mat", 5))

    def of(fact, item):
        return row(f"{group}_{fact}", "ann", item, *events, **{group: ["hot", "soft", "hot"]})

    taken = {"hot": sum(2 ** (-age / 90) for age in (3, 10, 17)), "soft": 2 ** (-5 / 90)}
    assert of("90", "cup") == pytest.approx(taken["hot"], rel=1e-4)
    assert of("share", "cup") == pytest.approx(taken["hot"] / sum(taken.values()), rel=1e-4)
    assert [of(fact, "cup") for fact in ("last", "days", "cadence")] == [3, 3, 7]
    assert of("due", "cup") == pytest.approx(3 / 7)
    assert [of(fact, "mat") for fact in ("last", "days")] == [5, 1]
    assert np.isnan(of("cadence", "mat"))


def test_every_sources_place_is_a_feature_under_its_own_name():
    of = lively()
    batch = Batch(shoppers(of, "u03", "u07"), night_model(lively_items()).at(of).sight)
    pool = pool_of(batch, RankerSettings(per_source=5), new_only=False)
    values = dict(zip(NAMES, features(pool, batch).T, strict=True))
    proposed = {name: PROPOSE[name](batch, 5, False) for name in SOURCES if name != "repeat"}
    for name, rows in proposed.items():
        place = dict(zip(_pairs(rows), rank_within(rows.shopper), strict=True))
        expected = [place.get(pair, np.nan) for pair in _pairs(pool.rows)]
        assert np.array_equal(values[f"source_{name}_rank"], np.float32(expected), equal_nan=True), name
    wanted = dict(zip(_pairs(proposed["category"]), proposed["category"].score, strict=True))
    expected = [wanted.get(pair, np.nan) for pair in _pairs(pool.rows)]
    assert np.array_equal(values["source_category_score"], np.float32(expected), equal_nan=True)


def _pairs(rows):
    return list(zip(rows.shopper.tolist(), rows.item.tolist(), strict=True))


def test_price_is_the_catalogues_where_it_has_one():
    assert row("price_item", "ann", "tea", *ANN, price=[1.0, 2.0, 3.5]) == pytest.approx(np.log1p(3.5))
    assert np.isnan(row("price_item", "ann", "tea", *ANN))


def test_price_is_compared_with_what_the_shopper_pays():
    prices = {"price": [20.0, 2.0, 2.0]}
    assert row("price_to_shopper", "ann", "cup", *ANN, **prices) == pytest.approx(np.log(21 / 3), rel=1e-4)
    assert row("price_to_shopper", "ann", "mat", *ANN, **prices) == pytest.approx(0, abs=1e-6)
    # Tea is a category of its own: three purchases at its price pull its mean away from the shopper's.
    both = (*ANN, *bought("ann", "cup", 2))
    overall, tea = (np.log(21) + 3 * np.log(3)) / 4, np.log(3)
    expected = tea - (3 * tea + 2 * overall) / 5
    assert row("price_to_category", "ann", "tea", *both, **prices) == pytest.approx(expected, rel=1e-4)
    assert np.isnan(row("price_to_shopper", "bob", "cup", *ANN, **prices))


def test_a_first_purchase_counts_once_and_a_repeat_does_not():
    again = (*bought("ann", "tea", 3, 60), *bought("bob", "tea", 5), *bought("cat", "tea", 20))
    assert row("item_first_7", "ann", "tea", *again) == pytest.approx(np.log1p(1))
    assert row("item_first_28", "ann", "tea", *again) == pytest.approx(np.log1p(2))


def test_a_launch_is_dated_by_the_catalogue_else_by_the_first_event():
    dated = [NIGHT_END - timedelta(days=4), None, NIGHT_END - timedelta(days=90)]
    ages = [row("item_launched", "ann", item, *ANN, available_from=dated) for item in ("cup", "mat", "tea")]
    assert ages == pytest.approx([4, np.nan, 90], nan_ok=True)
    assert row("item_launched", "ann", "tea", *ANN) == pytest.approx(17)


def test_likeness_is_to_the_shopper_and_to_the_nearest_own_item():
    vectors = np.float32([[1, 0], [0, 1], [0.6, 0.8], [0, 0]])
    users = np.float32([[1, 2], [9, 9], [3, 0], [0, 5]])
    shopper, own_shopper = np.array([0, 0, 2, 3]), np.array([0, 0, 1, 2])
    own = vectors[[0, 1, 1, 0]]
    to_user, to_own = likeness(vectors, np.array([2, 3, 2, 1]), shopper, users, own, own_shopper)
    assert to_user == pytest.approx([2.2, 0, 1.8, 5])
    assert to_own == pytest.approx([0.8, 0, 0.6, np.nan], nan_ok=True)


@pytest.mark.parametrize("new_only", [False, True])
def test_the_nearest_own_item_of_the_towers_is_a_cosine_of_what_was_learned(new_only):
    of = lively()
    batch = Batch(shoppers(of, "u03", "u07"), night_model(lively_items()).at(of).sight)
    pool = pool_of(batch, RankerSettings(), new_only)
    values = dict(zip(NAMES, features(pool, batch).T, strict=True))
    unit, (owner, own) = batch.sight.likeness, batch.newest
    exact = [
        max(unit[own[owner == who]] @ unit[item])
        for who, item in zip(pool.rows.shopper, pool.rows.item, strict=True)
    ]
    assert values["tower_nearest"] == pytest.approx(exact, abs=1e-3)
    assert values["tower_score"] == pytest.approx(tower_scores(pool, batch), abs=1e-4)
    weight = 1.5 if new_only else 1.0
    summed = values["tower_likeness"] + weight * values["tower_popularity"]
    assert values["tower_score"] == pytest.approx(summed, abs=1e-4)


def test_text_likeness_is_the_cosine_with_the_decayed_mean():
    history = (*bought("ann", "tea", 60), *bought("ann", "cup", 0.001))
    text = vectors(catalogue("cup", "mat", "tea")).matrix
    taste = text[0] + 0.5 * text[2]
    assert row("text_taste", "ann", "mat", *history) == pytest.approx(
        text[1] @ taste / np.linalg.norm(taste), abs=1e-3
    )
    assert row("text_nearest", "ann", "mat", *history) == pytest.approx(max(text[[0, 2]] @ text[1]), abs=1e-4)


def test_neighbour_scores_are_those_of_the_model_itself():
    of = lively()
    some = shoppers(of, "u03", "u07", "nobody")
    batch = Batch(some, night_model(lively_items()).at(of).sight)
    model = of.neighbours
    exact = model.scores(model.histories(of.snapshot.events, some.ids, of.snapshot.as_of))
    assert batch.shoppers.neighbour_scores == pytest.approx(exact, abs=1e-5)


def test_the_groups_are_those_that_the_settings_name():
    assert set(GROUPS) == set(get_args(FeatureGroup))


def everything(some):
    model = night_model(lively_items())
    batch = Batch(some, model.at(some.context).sight)
    pool = pool_of(batch, model.settings, False)
    return pool.rows, features(pool, batch)


def test_every_feature_is_filled_and_only_what_cannot_be_known_is_missing():
    _, values = everything(shoppers(lively(), *(f"u{n:02}" for n in range(30))))
    known = ~np.isnan(values)
    # The toy shop has neither prices nor launches, and its model no classifier.
    unknown = {name for name, is_known in zip(NAMES, known.any(axis=0), strict=True) if not is_known}
    assert unknown == {
        *(name for name in NAMES if name.startswith(("price", "classifier"))),
        "source_new_items_rank",
    }
    told = ("tower", "text", "item_buyers", "own_15", "shopper", "neighbours")
    always = [n for n, name in enumerate(NAMES) if name.startswith(told)]
    assert known[:, always].all()


def test_a_shopper_has_the_same_features_alone_and_among_others():
    crowd = everything(shoppers(lively(), *(f"u{n:02}" for n in range(30))))
    alone = everything(shoppers(lively(), "u07"))
    assert np.array_equal(crowd[1][crowd[0].shopper == 7], alone[1], equal_nan=True)


def test_the_future_changes_no_feature():
    later = lively(days_ago=20)
    with_future = everything(shoppers(later, "u07"))[1]
    before = lively().snapshot.events.filter(pl.col("occurred_at") < later.snapshot.as_of)
    without = everything(shoppers(context(before, lively_items(), 20), "u07"))[1]
    assert np.array_equal(with_future, without, equal_nan=True)


def test_tower_likeness_is_the_plain_product():
    rng = np.random.default_rng(1)
    users, items = rng.normal(size=(3, 5)).astype(np.float32), rng.normal(size=(4, 5)).astype(np.float32)
    shopper, item = np.array([0, 2, 2]), np.array([3, 0, 1])
    expected = [users[u] @ items[i] for u, i in zip(shopper, item, strict=True)]
    assert products(users, items, shopper, item) == pytest.approx(expected, abs=1e-4)
