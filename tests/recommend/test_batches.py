import threading

import polars as pl
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from recsys_tasks.recommend import batches
from recsys_tasks.recommend.batches import batches_of, in_order
from tests.recommend.shop import lively


@pytest.fixture(autouse=True)
def two_workers(monkeypatch):
    monkeypatch.setattr(batches, "WORKERS", 2)


def test_parts_come_back_in_their_order_whoever_is_done_first():
    second = threading.Event()

    def work(part):
        # The first part ends only when the second has: they run side by side.
        assert second.wait(10) if part == 0 else not second.set()
        return part * 10

    assert list(in_order(work, range(5))) == [0, 10, 20, 30, 40]


def test_no_more_parts_are_begun_than_can_be_worked_on():
    begun = []

    def parts():
        for part in range(20):
            begun.append(part)
            yield part

    results = in_order(lambda part: part, parts())
    next(results)
    assert len(begun) <= 3
    assert list(results) == list(range(1, 20))


def test_an_error_in_a_part_comes_through():
    def work(part):
        if part == 3:
            raise ValueError("part three")
        return part

    with pytest.raises(ValueError, match="part three"):
        list(in_order(work, range(10)))


def test_shoppers_are_batched_once_each_in_the_order_of_their_ids(monkeypatch):
    monkeypatch.setattr(batches, "BATCH", 2)
    monkeypatch.setattr(batches, "BLOCK", 1)
    made = batches_of(lively(), pl.Series(["u07", "u01", "u07", "u03"]))
    assert [shoppers.ids.to_list() for shoppers in made] == [["u01", "u03"], ["u07"]]


@pytest.mark.parametrize(
    ("shoppers", "size"),
    [
        pytest.param(0, 256, id="nobody"),
        pytest.param(100, 256, id="a block at least"),
        pytest.param(1362, 681, id="a share for each worker"),
        pytest.param(2560, 1280, id="full batches"),
        pytest.param(2561, 641, id="two turns of shares"),
        pytest.param(1_000_000, 1279, id="never more than a batch"),
    ],
)
def test_batches_are_equal_shares_and_a_block_at_least(shoppers, size):
    assert batches.batch_size(shoppers) == size


def test_a_matrix_product_in_a_batch_has_one_thread_and_has_its_own_again_behind_it():
    def threads(part=None):
        # NumPy's and SciPy's; Faiss brings one whose number is each calling thread's own.
        pools = (one for one in threadpool_info() if one.get("threading_layer") == "pthreads")
        return {one["num_threads"] for one in pools}

    with threadpool_limits(2, user_api="blas"):
        assert list(in_order(threads, range(2))) == [{1}, {1}]
        assert threads() == {2}


def test_blas_has_its_threads_again_whoever_is_done_first():
    def threads():
        pools = (one for one in threadpool_info() if one.get("threading_layer") == "pthreads")
        return {one["num_threads"] for one in pools}

    with threadpool_limits(2, user_api="blas"):
        first, second = (in_order(lambda part: part, range(4)) for _ in range(2))
        next(first), next(second)
        list(first)
        assert threads() == {1}, "the second still runs"
        list(second)
        assert threads() == {2}
