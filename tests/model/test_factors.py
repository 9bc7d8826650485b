from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_info, threadpool_limits

from recsys_tasks.model.factors import Factors
from recsys_tasks.model.neighbours import Neighbours

ITEMS, SHOPPERS = 12, 50


def histories(seed: int = 1) -> csr_matrix:
    rng = np.random.default_rng(seed)
    rows = (rng.random((SHOPPERS, ITEMS)) < 0.3) * rng.uniform(0.2, 1.0, (SHOPPERS, ITEMS))
    rows[0] = 0
    return csr_matrix(rows.astype(np.float32))


def neighbours(items: int = ITEMS) -> Neighbours:
    weights = np.random.default_rng(2).normal(size=(items, items)).astype(np.float32)
    np.fill_diagonal(weights, 0)
    return Neighbours(pl.Series([f"i{n:02}" for n in range(items)]), weights, {"purchase": 1.0}, None)


def unit(rows: csr_matrix) -> np.ndarray:
    dense = rows.toarray()
    return dense / np.maximum(np.linalg.norm(dense, axis=1, keepdims=True), 1e-12)


def scores(factors: Factors) -> np.ndarray:
    return unit(histories()) @ factors.given @ factors.taken.T


def test_at_full_rank_the_scores_are_those_of_the_model_up_to_one_factor():
    exact = unit(histories()) @ neighbours().weights
    assert scores(Factors.of(neighbours(), histories(), ITEMS)) == pytest.approx(
        exact / np.sqrt(np.square(exact).mean()), abs=1e-4
    )


def test_a_lower_rank_is_the_best_there_is_for_these_shoppers():
    exact = unit(histories()) @ neighbours().weights
    left, values, right = np.linalg.svd(exact, full_matrices=False)
    best = (left[:, :4] * values[:4]) @ right[:4]
    factors = Factors.of(neighbours(), histories(), 4)
    assert factors.given.shape == factors.taken.shape == (ITEMS, 4)
    assert scores(factors) == pytest.approx(best / np.sqrt(np.square(best).mean()), abs=2e-3)


def test_scores_have_a_mean_square_of_one_whatever_the_scale_of_the_model():
    louder = neighbours()
    louder.weights[:] *= 40
    for model in (neighbours(), louder):
        assert np.square(scores(Factors.of(model, histories(), 5))).mean() == pytest.approx(1.0, rel=1e-3)


def test_longer_histories_speak_no_louder():
    twice = csr_matrix(histories() * 2)
    assert Factors.of(neighbours(), twice, 5).given == pytest.approx(
        Factors.of(neighbours(), histories(), 5).given, abs=1e-5
    )


def test_two_runs_give_the_same_bytes():
    one, two = (Factors.of(neighbours(), histories(), 5) for _ in range(2))
    assert one.given.tobytes() == two.given.tobytes()
    assert one.taken.tobytes() == two.taken.tobytes()


@pytest.mark.parametrize(("items", "rank"), [(0, 5), (ITEMS, 0)])
def test_nothing_known_or_nothing_wanted_is_no_factor(items, rank):
    factors = Factors.of(neighbours(items), csr_matrix((SHOPPERS, items), dtype=np.float32), rank)
    assert factors.given.shape == factors.taken.shape == (items, 0)


def test_they_have_one_thread_from_the_first_product_to_the_last(monkeypatch):
    seen = set()

    class Watched(np.ndarray):
        def __matmul__(self, other):
            pools = (one for one in threadpool_info() if one.get("threading_layer") == "pthreads")
            seen.update(one["num_threads"] for one in pools)
            return np.asarray(self) @ other

    watched = replace(neighbours(), weights=neighbours().weights.view(Watched))
    with threadpool_limits(2, user_api="blas"):
        Factors.of(watched, histories(), 4)
    assert seen == {1}
