"""Peers against their definitions, written again with loops."""

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from benchmarks.peers import ease
from benchmarks.peers.base import Log
from benchmarks.peers.coded import DAY_US, Coded
from benchmarks.peers.ease import ItemToItem, ease_weights
from benchmarks.peers.ease_popularity import WithPopularity
from benchmarks.peers.knn import knn_weights
from benchmarks.peers.lists import best


def tastes(users, items, seed=0):
    rng = np.random.default_rng(seed)
    return sparse.csr_matrix((rng.random((users, items)) < 0.3).astype(np.float32))


@pytest.mark.parametrize(("users", "items", "strength"), [(5, 3, 0.5), (40, 12, 10.0), (8, 20, 3.0)])
def test_ease_weights_solve_each_item_s_ridge_regression_without_itself(users, items, strength):
    """Column j of B is the ridge regression of item j on all other items."""
    X = tastes(users, items).toarray().astype(np.float64)
    B = ease_weights(sparse.csr_matrix(X.astype(np.float32)), strength)
    for j in range(items):
        others = [i for i in range(items) if i != j]
        A = X[:, others]
        b = np.linalg.solve(A.T @ A + strength * np.eye(len(others)), A.T @ X[:, j])
        assert B[j, j] == 0
        np.testing.assert_allclose(B[others, j], b, atol=2e-5)


def test_two_items_always_bought_together_have_the_known_weight():
    X = sparse.csr_matrix(np.array([[1, 1], [1, 1], [1, 1]], np.float32))
    np.testing.assert_allclose(ease_weights(X, 1.0), [[0, 0.75], [0.75, 0]], atol=1e-6)


@pytest.mark.parametrize("block", [1, 6, 20, 21])
def test_blocks_do_not_show_in_ease(block, monkeypatch):
    want = ease_weights(tastes(30, 20), 5.0)
    monkeypatch.setattr(ease, "BLOCK", block)
    np.testing.assert_allclose(ease_weights(tastes(30, 20), 5.0), want, atol=1e-6)


@pytest.mark.parametrize(("neighbours", "shrink"), [(1, 0.0), (3, 10.0), (50, 2.0)])
def test_knn_keeps_each_item_s_nearest_by_damped_cosine(neighbours, shrink):
    X = tastes(25, 9)
    got = knn_weights(X, neighbours, shrink, block=4).toarray()
    dense = X.toarray()
    for i in range(9):
        near = []
        for j in range(9):
            both = sum(dense[u, i] * dense[u, j] for u in range(25))
            size = (dense[:, i].sum() * dense[:, j].sum()) ** 0.5
            near.append(both / (size + shrink) if i != j else 0.0)
        kept = sorted(range(9), key=lambda j: (-near[j], j))[:neighbours]
        want = [near[j] if j in kept else 0.0 for j in range(9)]
        np.testing.assert_allclose(got[i], want, atol=1e-6)


def test_scores_of_a_user_are_sums_over_the_history():
    weights = np.array([[0, 2, 3], [5, 0, 7], [1, 1, 0]], np.float32)
    taste = sparse.csr_matrix(np.array([[1, 0, 0], [1, 0.5, 0]], np.float32))
    opinion = ItemToItem(pl.Series(["a", "b"]), pl.Series(["x", "y", "z"]), taste, weights)
    np.testing.assert_allclose(opinion.scores(np.array([1, 0])), [[2.5, 2, 6.5], [0, 2, 3]])


def test_popularity_moves_every_user_s_scores_by_the_same():
    weights = np.array([[0, 2], [5, 0]], np.float32)
    taste = sparse.csr_matrix(np.array([[1, 0], [0, 1]], np.float32))
    base = ItemToItem(pl.Series(["a", "b"]), pl.Series(["x", "y"]), taste, weights)
    mixed = WithPopularity.of(base, np.array([0, 4], np.float32), 0.5)
    spread = np.std([0, 2, 5, 0])
    np.testing.assert_allclose(
        mixed.scores(np.array([0, 1])), [[0, 2 / spread + 1], [5 / spread, 1]], rtol=1e-6
    )


def test_a_taste_is_the_heaviest_event_halved_by_its_age():
    log = Log(
        users=pl.Series(["a", "a", "a", "b"]),
        items=pl.Series(["x", "x", "y", "x"]),
        items_offered=pl.Series(["x", "y"]),
        times=pl.Series([0, 10 * DAY_US, 20 * DAY_US, 30 * DAY_US]),
        weights=pl.Series([4.0, 1.0, 2.0, 2.0]),
        as_of=30 * DAY_US + DAY_US,
    )
    coded = Coded.of(log)
    np.testing.assert_allclose(coded.matrix().toarray(), [[1, 0.5], [0.5, 0]])
    halved = coded.matrix(10.0).toarray()
    np.testing.assert_allclose(halved[0, 0], max(2**-3.1, 0.25 * 2**-2.1), rtol=1e-6)
    np.testing.assert_allclose(halved[0, 1], 0.5 * 2**-1.1, rtol=1e-6)


def test_without_times_an_event_s_age_is_how_many_of_the_user_s_follow():
    log = Log(pl.Series(["a", "b", "a", "a"]), pl.Series(["x", "x", "y", "z"]), pl.Series(["x", "y", "z"]))
    np.testing.assert_allclose(Coded.of(log).matrix(1.0).toarray(), [[0.25, 0.5, 1], [1, 0, 0]])


def test_the_most_touched_items_are_kept_and_ties_go_by_id():
    log = Log(
        pl.Series(["a", "b", "a", "c", "c"]),
        pl.Series(["z", "z", "y", "x", "w"]),
        pl.Series(["w", "x", "y", "z"]),
    )
    assert Coded.of(log, 2).items.to_list() == ["w", "z"]


@pytest.mark.parametrize("k", [1, 3, 6, 9])
def test_the_best_are_the_largest_and_ties_go_to_the_lower_place(k):
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 4, (50, 6)).astype(np.float32)
    scores[rng.random((50, 6)) < 0.3] = -np.inf
    row, column = best(scores, k)
    for user in range(50):
        finite = [place for place in range(6) if np.isfinite(scores[user, place])]
        want = sorted(finite, key=lambda place: (-scores[user, place], place))[:k]
        assert column[row == user].tolist() == want
