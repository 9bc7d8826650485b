import numpy as np
import pytest

from recsys_tasks.recommend.batch import Batch
from recsys_tasks.recommend.candidates import SOURCES
from recsys_tasks.recommend.pool import PROPOSE, pool_of
from recsys_tasks.settings import CANDIDATE_SOURCES, RankerSettings
from tests.recommend.shop import lively, lively_items, night_model, shoppers

EVERYONE = [f"u{n:02}" for n in range(30)]
SETTINGS = RankerSettings(per_source=8, history_items=20)


def looked_at(*users) -> Batch:
    some = shoppers(lively(), *users)
    return Batch(some, night_model(lively_items()).at(some.context).sight)


def test_the_settings_name_every_source():
    assert CANDIDATE_SOURCES == SOURCES


@pytest.mark.parametrize("new_only", [False, True])
def test_it_is_the_union_with_the_place_that_each_source_gave(new_only):
    batch = looked_at(*EVERYONE)
    pool = pool_of(batch, SETTINGS, new_only)
    keys = batch.shoppers.key(pool.rows.shopper, pool.rows.item)
    assert (np.diff(keys) > 0).all()
    everything = set()
    for column, name in enumerate(SOURCES):
        rows = PROPOSE[name](batch, 20 if name == "repeat" else 8, new_only)
        theirs = batch.shoppers.key(rows.shopper, rows.item)
        everything |= set(theirs.tolist())
        ranked = ~np.isnan(pool.rank[:, column])
        assert set(keys[ranked].tolist()) == set(theirs.tolist())
        assert np.array_equal(ranked, ~np.isnan(pool.score[:, column]))
        for shopper in (0, 7):
            mine = ranked & (pool.rows.shopper == shopper)
            best = pool.rows.item[mine][np.argsort(pool.rank[mine, column])]
            assert best.tolist() == rows.item[rows.shopper == shopper].tolist()
    assert everything == set(keys.tolist())


def test_a_row_carries_the_first_source_that_proposed_it():
    batch = looked_at(*EVERYONE)
    pool = pool_of(batch, SETTINGS, False)
    own = batch.shoppers.own.find(pool.rows.shopper, pool.rows.item)[1]
    assert own.any()
    assert (pool.source[own] == SOURCES.index("repeat")).all()
    assert (pool.source[~own] > SOURCES.index("repeat")).all()
    assert not np.isnan(pool.rank[np.arange(len(pool.rows)), pool.source]).any()


def test_without_any_source_the_pool_is_empty():
    assert len(pool_of(looked_at("u01"), RankerSettings(sources=[]), False).rows) == 0


def test_shoppers_without_history_are_left_to_the_ladder():
    assert set(pool_of(looked_at("stranger", "u01"), SETTINGS, False).rows.shopper) == {1}
