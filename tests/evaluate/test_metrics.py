import math

import numpy as np
import polars as pl
import pytest

from recsys_tasks.evaluate.metrics import recall_ndcg


def lists(**items):
    rows = [(user, item, rank) for user, row in items.items() for rank, item in enumerate(row, 1)]
    return pl.DataFrame(
        rows, schema={"user_id": pl.String, "item_id": pl.String, "rank": pl.Int32}, orient="row"
    )


def targets(**items):
    rows = [(user, item) for user, row in items.items() for item in row]
    return pl.DataFrame(rows, schema={"user_id": pl.String, "item_id": pl.String}, orient="row")


def by_loops(ranked, wanted, k):
    gain = sum(1 / math.log2(place + 1) for place, item in enumerate(ranked[:k], 1) if item in wanted)
    ideal = sum(1 / math.log2(place + 1) for place in range(1, min(k, len(wanted)) + 1))
    hits = sum(item in wanted for item in ranked[:k])
    return hits / min(k, len(wanted)), gain / ideal


@pytest.mark.parametrize("k", [1, 3, 10])
@pytest.mark.parametrize("seed", range(4))
def test_scores_are_those_of_plain_loops(k, seed):
    rng = np.random.default_rng(seed)
    shown = {f"u{n}": [f"i{x}" for x in rng.permutation(30)[: rng.integers(1, 15)]] for n in range(20)}
    taken = {f"u{n}": {f"i{x}" for x in rng.permutation(30)[: rng.integers(1, 15)]} for n in range(20)}
    scores = recall_ndcg(lists(**shown), targets(**taken), k)
    for user, recall, ndcg in scores.select("user_id", "recall", "ndcg").iter_rows():
        assert (recall, ndcg) == pytest.approx(by_loops(shown[user], taken[user], k))


def test_known_answers():
    scores = recall_ndcg(lists(ann=["tent", "bag", "mat"]), targets(ann=["bag", "rope"]), k=3)
    assert scores.row(0) == ("ann", 0.5, pytest.approx((1 / math.log2(3)) / (1 + 1 / math.log2(3))), 1, 2)


def test_a_perfect_short_list_scores_one_though_more_was_relevant():
    scores = recall_ndcg(lists(ann=["tent", "bag"]), targets(ann=["bag", "tent", "mat"]), k=2)
    assert scores.select("recall", "ndcg").row(0) == pytest.approx((1.0, 1.0))


def test_a_shopper_without_a_list_scores_zero_and_one_without_targets_is_not_counted():
    scores = recall_ndcg(lists(ann=["tent"], cat=["tent"]), targets(ann=["tent"], bob=["tent"]))
    assert scores.select("user_id", "recall", "ndcg").rows() == [("ann", 1.0, 1.0), ("bob", 0.0, 0.0)]


def test_ranks_behind_k_do_not_count():
    assert recall_ndcg(lists(ann=["bag", "tent"]), targets(ann=["tent"]), k=1)["recall"].to_list() == [0.0]


def test_an_item_taken_twice_is_relevant_once():
    assert recall_ndcg(lists(ann=["tent"]), targets(ann=["tent", "tent"]))["recall"].to_list() == [1.0]


def test_nobody_to_score_gives_no_rows():
    assert recall_ndcg(lists(ann=["tent"]), targets()).is_empty()
