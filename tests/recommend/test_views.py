"""What models and lists share is worked out once, and belongs to whoever asked for it."""

import gc
import subprocess
import sys
import weakref
from collections import Counter
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from recsys_tasks.model.towers import TowerModel
from recsys_tasks.recommend import batches, texts
from recsys_tasks.recommend.batch import Batch
from recsys_tasks.recommend.lazy import Views
from recsys_tasks.recommend.recommend import Recommender, side_by_side
from recsys_tasks.recommend.sight import Sight
from tests.recommend.shop import lively, lively_items, night_model

EVERYONE = pl.Series([f"u{n:02}" for n in range(30)])


@pytest.fixture
def worked_out(monkeypatch):
    """Counts how often some of the dear parts were worked out."""
    counts: Counter[str] = Counter()

    def counted(owner, name):
        inner = getattr(owner, name)

        def wrapped(*arguments):
            counts[name] += 1
            return inner(*arguments)

        monkeypatch.setattr(owner, name, wrapped)

    counted(texts, "topics_of")
    counted(TowerModel, "user_matrix")
    return counts


def test_a_view_is_made_once_for_each_who_asks():
    views, first, second = Views(), [], []
    assert views.of(first, lambda: 1) == views.of(first, lambda: 2) == 1
    # Equal is not the same: each has its own.
    assert views.of(second, lambda: 3) == 3


def test_a_view_keeps_alive_whose_it_is():
    views = Views()
    made = [views.of(object(), object) for _ in range(1000)]
    assert len(set(map(id, made))) == 1000


def test_models_of_the_same_vectors_share_the_texts_and_their_lists_what_is_known_of_a_batch(worked_out):
    where, model = lively(), night_model(lively_items())
    makers = {name: Recommender(model, where) for name in ("challenger", "champion")}
    side_by_side(makers, EVERYONE, 10)
    # One look at the texts; each model reads the histories of a batch once, for both kinds of lists.
    assert worked_out == {"topics_of": 1, "user_matrix": 2}


def test_other_vectors_have_texts_of_their_own():
    where, models = lively(), [night_model(lively_items()) for _ in range(2)]
    sights = [Sight(where, model.towers, model.vectors) for model in models]
    assert sights[0].texts is not sights[1].texts
    assert sights[0].texts is Sight(where, models[0].towers, models[0].vectors).texts


@pytest.fixture
def no_collector():
    """What a ring holds stays, as it does for long in a process with many old objects."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_batches_that_are_done_are_gone(no_collector, monkeypatch):
    monkeypatch.setattr(batches, "BATCH", 5)
    monkeypatch.setattr(batches, "BLOCK", 1)
    made = []
    inner = Batch.__init__

    def noted(self, *arguments):
        inner(self, *arguments)
        made.append(weakref.ref(self))

    monkeypatch.setattr(Batch, "__init__", noted)
    maker = Recommender(night_model(lively_items()), lively())
    maker.lists(EVERYONE, 5, new_only=True)
    side_by_side({"challenger": maker}, EVERYONE, 5)
    assert len(made) >= 2 * len(EVERYONE) / 5
    assert not [one for one in made if one() is not None]


def test_a_context_goes_with_its_last_name(no_collector):
    maker = Recommender(night_model(lively_items()), lively())
    maker.lists(EVERYONE, 5)
    where = weakref.ref(maker.context)
    del maker
    assert where() is None


def test_a_context_made_from_another_has_views_of_its_own():
    whole, model = lively(), night_model(lively_items())
    in_use = Recommender(model, whole)
    in_use.lists(EVERYONE, 5)
    allowed = whole.allowed & (np.arange(len(whole.allowed)) % 4 == 0)
    lists = Recommender(model, replace(whole, allowed=allowed)).lists(EVERYONE, 5)
    assert set(lists["item_id"]) <= set(whole.items.filter(pl.Series(allowed)))


def test_a_ranker_is_asked_without_scikit_learn_and_pandas_and_leaves_them_to_others():
    probe = """
import sys
from recsys_tasks.recommend.ranker import load_lightgbm
assert load_lightgbm().Booster
print(*sorted({"sklearn", "pandas", "scipy.stats", "torch"} & set(sys.modules)))
import sklearn, pandas
"""
    answer = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == []
