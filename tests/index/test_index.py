import faiss
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_tasks.index.index import DECIMALS, ItemIndex


def ids(n: int) -> pl.Series:
    return pl.Series("item_id", [f"i{number:05d}" for number in range(n)])


def random_rows(seed: int, n: int, d: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def by_hand(matrix: np.ndarray, user: np.ndarray, k: int) -> list[int]:
    scores = np.round(matrix @ user, DECIMALS)
    return sorted(range(len(matrix)), key=lambda i: (-scores[i], i))[:k]


@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 300),
    distinct=st.integers(1, 40),
    k=st.integers(1, 320),
)
@settings(max_examples=60, deadline=None)
def test_search_is_a_sort_by_score_then_id(seed, n, distinct, k):
    rng = np.random.default_rng(seed)
    # Small whole numbers: their products are exact, so that a score is never a rounding away from the next.
    matrix = rng.integers(-3, 4, size=(distinct, 4)).astype(np.float32)[rng.integers(0, distinct, n)]
    users = rng.integers(-3, 4, size=(3, 4)).astype(np.float32)
    _, positions = ItemIndex.build(ids(n), matrix).search(users, k)
    assert positions.tolist() == [by_hand(matrix, user, k) for user in users]


@pytest.mark.parametrize("k", [1, 2, 7, 99, 100, 101, 150])
def test_copies_of_one_vector_come_out_by_id_whatever_k(k):
    copies = np.repeat(random_rows(1, 1), 100, axis=0)
    matrix = np.concatenate([copies, random_rows(2, 100) * 0.01])
    _, positions = ItemIndex.build(ids(200), matrix).search(copies[:1], k)
    assert positions[0, : min(k, 100)].tolist() == list(range(min(k, 100)))


@pytest.mark.parametrize("k", [1, 3, 64])
def test_scores_that_differ_by_less_than_the_rounding_are_ties(k):
    # The later the item, the higher its raw score; all round to 0.25.
    matrix = (0.25 + np.arange(100) * 3e-8).astype(np.float32)[:, None]
    assert len(set(matrix[:, 0].tolist())) > 90
    _, positions = ItemIndex.build(ids(100), matrix).search(np.ones((1, 1), np.float32), k)
    assert positions[0].tolist() == list(range(k))


def test_a_short_answer_begins_a_long_one():
    matrix, users = np.repeat(random_rows(1, 50), 20, axis=0), random_rows(2, 5)
    index = ItemIndex.build(ids(1000), matrix)
    _, long = index.search(users, 300)
    for k in (1, 10, 64, 65, 129):
        assert (index.search(users, k)[1] == long[:, :k]).all()


def test_scores_do_not_depend_on_who_else_is_asked_for():
    index, users = ItemIndex.build(ids(500), random_rows(1, 500, 129)), random_rows(2, 700, 129)
    together, _ = index.search(users, 20)
    alone = np.concatenate([index.search(users[[row]], 20)[0] for row in range(0, 700, 100)])
    assert (alone == together[::100]).all()


def test_ids_may_come_in_any_order():
    matrix, order = random_rows(1, 30), np.random.default_rng(3).permutation(30)
    shuffled = ItemIndex.build(ids(30)[order], matrix[order])
    assert (shuffled.matrix == matrix).all()
    assert shuffled.item_ids.to_list() == ids(30).to_list()


def test_no_more_items_than_there_are():
    scores, positions = ItemIndex.build(ids(3), random_rows(1, 3)).search(random_rows(2, 2), 10)
    assert scores.shape == positions.shape == (2, 3)


def test_a_search_has_one_thread_and_the_caller_has_its_own_again(monkeypatch):
    before, seen = faiss.omp_get_max_threads(), []
    faiss.omp_set_num_threads(2)
    index = ItemIndex.build(ids(50), random_rows(1, 50))
    blocks = ItemIndex._blocks
    monkeypatch.setattr(
        ItemIndex, "_blocks", lambda *args: seen.append(faiss.omp_get_max_threads()) or blocks(*args)
    )
    try:
        index.search(random_rows(2, 3), 5)
        assert (seen, faiss.omp_get_max_threads()) == ([1], 2)
    finally:
        faiss.omp_set_num_threads(before)


def test_no_shopper_no_rows():
    scores, positions = ItemIndex.build(ids(3), random_rows(1, 3)).search(random_rows(2, 0), 2)
    assert scores.shape == positions.shape == (0, 2)


def test_exact_search_finds_everything_and_the_check_can_tell():
    matrix, users = random_rows(1, 2000), random_rows(2, 20)
    index = ItemIndex.build(ids(2000), matrix)
    assert index.self_check(users) == 1.0
    wrong = ItemIndex(index.item_ids, ItemIndex.build(ids(2000), -matrix).faiss_index)
    index.__dict__["matrix"] = matrix
    wrong.__dict__["matrix"] = matrix
    assert wrong.self_check(users) < 0.2


def test_a_saved_index_answers_the_same(tmp_path):
    index, users = ItemIndex.build(ids(300), random_rows(1, 300)), random_rows(2, 9)
    index.save(tmp_path)
    loaded = ItemIndex.load(tmp_path)
    assert loaded.item_ids.equals(index.item_ids)
    for before, after in zip(index.search(users, 17), loaded.search(users, 17), strict=True):
        assert (before == after).all()
