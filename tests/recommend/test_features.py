import numpy as np
import polars as pl
import pytest

from recsys_tasks.recommend.features import NAMES, features, products
from recsys_tasks.recommend.proposals import Proposals
from tests.recommend.shop import (
    bought,
    catalogue,
    context,
    lively,
    lively_items,
    log,
    night_model,
    shoppers,
)


def row(name, shopper, item, *events, items=("cup", "mat", "tea"), **columns):
    """One feature of one (shopper, item)."""
    of = context(log(*events), catalogue(*items, **columns))
    some, opened = shoppers(of, shopper), night_model(of.snapshot.items).at(of)
    pair = Proposals(np.array([0]), np.array([items.index(item)]), np.float32([0]))
    return float(features(pair, some, opened.users(some), opened.items)[0, NAMES.index(name)])


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
        ("item_age", "tea", 17),
        ("item_idle", "tea", 1),
        ("item_age", "mat", np.nan),
        ("item_returning", "tea", 1),
        ("shopper_days", "mat", 3),
    ],
)
def test_known_answers(name, item, value):
    assert row(name, "ann", item, *ANN, *BOB) == pytest.approx(value, rel=1e-4, nan_ok=True)


def test_price_is_the_catalogues_where_it_has_one():
    assert row("item_price", "ann", "tea", *ANN, price=[1.0, 2.0, 3.5]) == 3.5
    assert np.isnan(row("item_price", "ann", "tea", *ANN))


def everything(some):
    opened = night_model(lively_items()).at(some.context)
    users = opened.users(some)
    pool = opened.pool(some, users, False).rows
    return pool, features(pool, some, users, opened.items)


def test_every_feature_is_filled_and_only_what_cannot_be_known_is_missing():
    _, values = everything(shoppers(lively(), *(f"u{n:02}" for n in range(30))))
    known = ~np.isnan(values)
    assert known.any(axis=0).sum() == len(NAMES) - 1  # the toy shop has no prices
    always = [
        n for n, name in enumerate(NAMES) if name.startswith(("tower", "item_buyers", "own_15", "shopper"))
    ]
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
