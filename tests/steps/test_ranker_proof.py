from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from recsys_tasks.evaluate.metrics import recall_ndcg
from recsys_tasks.pairs.audit import LearningCut
from recsys_tasks.recommend.features import NAMES
from recsys_tasks.recommend.ranker import Groups
from recsys_tasks.settings import RankerSettings
from recsys_tasks.steps import ranker_proof
from recsys_tasks.steps.ranker_proof import UNPROVEN, Proof, ndcg_of, prove

SETTINGS = RankerSettings(trees=30)
TOWER, DUE = NAMES.index("tower_score"), NAMES.index("own_due")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def cut(day: int, days: int = 28) -> LearningCut:
    return LearningCut(BEGIN + timedelta(days=day), BEGIN + timedelta(days=day + days))


def groups(told_by: int, count: int = 60, size: int = 20, seed: int = 1) -> Groups:
    """Noise in every column; what was taken has the group's largest value in the column ``told_by``."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(count * size, len(NAMES))).astype(np.float32)
    labels = np.zeros(count * size, np.int64)
    labels[values[:, told_by].reshape(count, size).argmax(axis=1) + np.arange(count) * size] = 1
    return Groups(values, labels, np.full(count, size))


def test_ndcg_is_that_of_the_gate():
    rng = np.random.default_rng(3)
    sizes = np.array([25, 8, 40])
    labels = (rng.random(sizes.sum()) < 0.3).astype(np.int64)
    scores = rng.normal(size=sizes.sum())
    user = np.repeat(["a", "b", "c"], sizes)
    rows = pl.DataFrame({"user_id": user, "item_id": np.arange(len(user)), "score": scores, "label": labels})
    lists = rows.sort("score", descending=True).with_columns(
        rank=pl.int_range(1, pl.len() + 1).over("user_id")
    )
    expected = recall_ndcg(lists, rows.filter(pl.col("label") == 1)).sort("user_id")["ndcg"].to_list()
    got = ndcg_of(Groups(np.zeros((len(user), 1), np.float32), labels, sizes), scores)
    assert got.tolist() == pytest.approx(expected)


def test_towers_that_know_more_than_the_trees_count_more():
    """The earlier cut taught the trees something that no longer holds."""
    proof = prove({cut(0): groups(DUE), cut(28): groups(TOWER, seed=2)}, SETTINGS, 1, 10)
    best = max(ranker_proof.WEIGHTS)
    assert proof.ndcg[best] > 2 * proof.ndcg[0]
    assert proof.weight == best / 2, "half of what the night's trees learn from was there to ask"


def test_trees_that_know_it_all_need_no_towers():
    proof = prove({cut(0): groups(DUE, 300), cut(28): groups(DUE, seed=2)}, SETTINGS, 1, 10)
    assert proof.weight <= 0.1
    assert proof.ndcg[0] > 2 * proof.ndcg[2]


def test_the_ranker_that_is_asked_saw_no_label_that_reaches_the_newest_cut(monkeypatch):
    seen, fit = [], ranker_proof.fit_booster
    monkeypatch.setattr(
        ranker_proof, "fit_booster", lambda learned, *rest: seen.append(learned) or fit(learned, *rest)
    )
    parts = {cut(0): groups(DUE), cut(14): groups(DUE, seed=2), cut(28): groups(DUE, seed=3)}
    prove(parts, SETTINGS, 1, 10)
    assert len(seen) == 1
    assert np.array_equal(seen[0].values, parts[cut(0)].values)


@pytest.mark.parametrize(
    ("parts", "min_hits"),
    [
        ({cut(0): groups(DUE)}, 10),
        ({cut(0): groups(DUE), cut(14): groups(DUE)}, 10),
        ({cut(0): groups(DUE), cut(28): groups(DUE, 100)}, 61),
        ({cut(0): groups(DUE, 100), cut(28): groups(DUE)}, 61),
    ],
    ids=["one cut", "labels reach it", "too little to learn from", "too little to ask about"],
)
def test_where_nothing_can_be_asked_the_towers_help_a_little(parts, min_hits):
    assert prove(parts, SETTINGS, 1, min_hits) == Proof(UNPROVEN, "nothing to prove it by")


def test_of_weights_that_serve_alike_the_smallest_is_taken(monkeypatch):
    alike = np.random.default_rng(0).random(60)
    monkeypatch.setattr(ranker_proof, "ndcg_of", lambda groups, scores: alike)
    assert prove({cut(0): groups(DUE), cut(28): groups(DUE)}, SETTINGS, 1, 10).weight == 0


def test_where_few_shoppers_decide_the_weight_lies_between_what_they_would_choose(monkeypatch):
    """Ten shoppers want no towers, ten want them whole, and one more them: it must not decide for all."""
    alone, whole = min(ranker_proof.WEIGHTS), max(ranker_proof.WEIGHTS)
    likes = np.repeat([alone, whole], [10, 11])
    asked = iter(ranker_proof.WEIGHTS)
    monkeypatch.setattr(ranker_proof, "ndcg_of", lambda *_: np.where(likes == next(asked), 1.0, 0.0))
    proof = prove({cut(0): groups(DUE), cut(28): groups(DUE)}, SETTINGS, 1, 10)
    # About half of the resamples is won by each; the weight is halved for the trees that learn from both cuts.
    assert 0.4 * whole < 2 * proof.weight < 0.8 * whole
    assert proof.ndcg[whole] == pytest.approx(11 / 21)


@pytest.mark.parametrize(
    ("settings", "weight"),
    [(RankerSettings(tower_weight=0.7), 0.7), (RankerSettings(without_features=["tower"]), 0.0)],
    ids=["set by hand", "the towers are left out"],
)
def test_what_the_settings_decide_is_not_asked(settings, weight, monkeypatch):
    monkeypatch.setattr(ranker_proof, "fit_booster", None)
    assert prove({cut(0): groups(DUE), cut(28): groups(DUE)}, settings, 1, 10).weight == weight


def test_a_weight_of_what_is_left_out_is_refused():
    with pytest.raises(ValidationError, match="drop one of the two"):
        RankerSettings(tower_weight=0.7, without_features=["tower"])
