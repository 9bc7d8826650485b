"""Lists of an encoder that compares a query with an item by anything but the cosine of its vectors."""

from dataclasses import replace

import numpy as np
import pytest

from recsys_tasks.model.similarity import Maps, Sides, fold_items, fold_queries
from recsys_tasks.model.vectors import TextVectors
from recsys_tasks.recommend.batch import Batch
from recsys_tasks.recommend.candidates import new_items
from recsys_tasks.recommend.features import NAMES, features
from recsys_tasks.recommend.pool import pool_of
from recsys_tasks.settings import RankerSettings
from tests.recommend.candidates.test_contract import a_shop
from tests.recommend.shop import TEXT_DIM, night_model, shoppers

KINDS = ("dot", "euclidean", "bilinear")
SHOPPERS = ("u01", "u07", "u11")


def projected(items):
    """What the similarity reads: vectors of unlike lengths."""
    return np.random.default_rng(8).normal(size=(len(items), TEXT_DIM)).astype(np.float32)


def maps_of(kind):
    if kind != "bilinear":
        return None
    rng = np.random.default_rng(9)
    shapes = ((TEXT_DIM, TEXT_DIM), (TEXT_DIM,)) * 2
    return Maps(*(rng.normal(size=shape).astype(np.float32) for shape in shapes))


def compared(kind, x, y):
    """f(x, y) by its definition."""
    if kind == "euclidean":
        return -sum((a - b) ** 2 for a, b in zip(x, y, strict=True))
    if kind == "bilinear":
        maps = maps_of(kind)
        x, y = maps.query_weight @ x + maps.query_bias, maps.item_weight @ y + maps.item_bias
    return sum(a * b for a, b in zip(x, y, strict=True))


def batch_of(kind):
    of = a_shop()
    items = of.snapshot.items
    model, vectors = night_model(items), projected(items)
    sides = Sides(*(fold(kind, vectors, maps_of(kind)) for fold in (fold_queries, fold_items))).centred()
    plain = model.vectors
    model = replace(model, vectors=TextVectors(plain.item_ids, plain.texts, plain.text_rows, sides))
    return Batch(shoppers(of, *SHOPPERS), model.at(of).sight)


def history_of(batch, shopper):
    """(weight, item) of what the shopper touched."""
    log, (places, rows) = batch.sight.context.log, batch.shoppers.usable
    mine = rows[places == shopper]
    return list(zip(log.weight[mine] * 0.5 ** (log.age[mine] / 60.0), log.item[mine], strict=True))


def likeness_to_history(batch, kind, shopper, item):
    """The mean of f over the shopper's history, by weight."""
    vectors, history = projected(batch.sight.context.items), history_of(batch, shopper)
    total = sum(weight for weight, _ in history)
    return sum(weight * compared(kind, vectors[own], vectors[item]) for weight, own in history) / total


def values_of(batch):
    pool = pool_of(batch, RankerSettings(), False)
    return pool.rows, dict(zip(NAMES, features(pool, batch).T, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_the_taste_orders_items_as_the_similarity_does(kind):
    batch = batch_of(kind)
    rows, values = values_of(batch)
    for shopper in range(len(SHOPPERS)):
        mine = rows.shopper == shopper
        exact = [likeness_to_history(batch, kind, shopper, item) for item in rows.item[mine]]
        told = values["text_taste"][mine]
        assert len(exact) > 5
        # Equal up to the query's own part: the taste has unit length, and a distance leaves |x|^2 out.
        assert np.corrcoef(told, exact)[0, 1] == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_nearest_own_item_and_the_towers_read_the_same_vectors_as_ever(kind):
    of = a_shop()
    plain = Batch(shoppers(of, *SHOPPERS), night_model(of.snapshot.items).at(of).sight)
    rows, values = values_of(batch_of(kind))
    plain_rows, plain_values = values_of(plain)
    both = {pair: place for place, pair in enumerate(zip(plain_rows.shopper, plain_rows.item, strict=True))}
    pairs = list(zip(rows.shopper, rows.item, strict=True))
    here = [place for place, pair in enumerate(pairs) if pair in both]
    there = [both[pairs[place]] for place in here]
    assert len(here) > 10
    for name in ("text_nearest", "tower_score"):
        np.testing.assert_array_equal(values[name][here], plain_values[name][there])
    assert not np.allclose(values["text_taste"][here], plain_values["text_taste"][there])


@pytest.mark.parametrize("kind", KINDS)
def test_new_items_are_those_that_the_similarity_puts_first(kind):
    batch = batch_of(kind)
    places, found = new_items.launches(batch.sight), new_items.propose(batch, 10, False)
    assert len(found.item)
    for shopper in range(len(SHOPPERS)):
        exact = {item: likeness_to_history(batch, kind, shopper, item) for item in places}
        proposed = found.item[found.shopper == shopper].tolist()
        assert proposed == sorted(places, key=lambda item: -exact[item])[: len(proposed)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_item_less_like_the_shopper_than_the_catalogue_is_not_proposed(kind):
    batch = batch_of(kind)
    found, everything = new_items.propose(batch, 10, False), range(len(batch.sight.context.items))
    for shopper in range(len(SHOPPERS)):
        exact = [likeness_to_history(batch, kind, shopper, item) for item in everything]
        nearer = [item for item in new_items.launches(batch.sight) if exact[item] > np.mean(exact)]
        assert sorted(found.item[found.shopper == shopper].tolist()) == nearer
