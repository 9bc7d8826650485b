import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.metrics import METRICS, gini, scores, shares, spread


def lists(*rows: tuple[str, str]) -> pl.DataFrame:
    """(user, its items in order, a letter each)."""
    told = [(user, item, rank) for user, items in rows for rank, item in enumerate(items, 1)]
    return pl.DataFrame(
        told, schema={"user_id": pl.String, "item_id": pl.String, "rank": pl.Int32}, orient="row"
    )


def wanted(*rows: tuple[str, str]) -> pl.DataFrame:
    told = [(user, item) for user, items in rows for item in items]
    return pl.DataFrame(told, schema={"user_id": pl.String, "item_id": pl.String}, orient="row")


def score(listed: str, taken: str) -> dict[str, float]:
    return scores(lists(("ann", listed)), wanted(("ann", taken))).row(0, named=True)


def test_known_answer():
    found = score("abcd", "bdx")
    assert found["Recall@10"] == pytest.approx(2 / 3)
    assert found["HR@10"] == 1
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    assert found["NDCG@10"] == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / ideal)
    assert found["MAP@12"] == pytest.approx((1 / 2 + 2 / 4) / 3)


def test_a_short_list_can_reach_one():
    letters = "abcdefghijklmnopqrst"
    assert score(letters, letters)["Recall@10"] == 1
    assert score(letters, letters)["NDCG@10"] == pytest.approx(1)
    assert score(letters, letters)["MAP@12"] == pytest.approx(1)


def test_a_hit_behind_k_does_not_count():
    found = score("abcdefghijklmnop", "k")
    assert (found["Recall@10"], found["NDCG@10"], found["HR@10"]) == (0, 0, 0)
    assert found["Recall@20"] == 1
    assert found["MAP@12"] == pytest.approx(1 / 11)


def test_a_shopper_without_a_list_scores_zero_and_one_without_targets_does_not_count():
    found = scores(lists(("bob", "ab")), wanted(("ann", "a")))
    assert found["user_id"].to_list() == ["ann"]
    assert found.select(METRICS).row(0) == (0,) * len(METRICS)


@given(
    st.lists(st.sampled_from("abcdefghijklmnopqrstuvwxyz"), unique=True, min_size=1),
    st.sets(st.sampled_from("abcdefz"), min_size=1),
)
def test_all_metrics_against_their_definitions(listed, taken):
    found = score("".join(listed), "".join(sorted(taken)))
    hit = [item in taken for item in listed]
    for k in (10, 20, 50):
        assert found[f"Recall@{k}"] == pytest.approx(sum(hit[:k]) / min(k, len(taken)))
    gain = sum(1 / math.log2(place + 2) for place, is_hit in enumerate(hit[:10]) if is_hit)
    assert found["NDCG@10"] == pytest.approx(
        gain / sum(1 / math.log2(p + 2) for p in range(min(10, len(taken))))
    )
    precision = sum(sum(hit[: place + 1]) / (place + 1) for place in range(min(12, len(hit))) if hit[place])
    assert found["MAP@12"] == pytest.approx(precision / min(12, len(taken)))


def test_spread_counts_what_stands_in_the_first_ten():
    told = spread(lists(("ann", "ab"), ("bob", "ab")), pl.Series(["a", "b", "c", "d"]))
    assert told["coverage@10"] == 0.5
    assert told["Gini@10"] == pytest.approx(0.5)


def test_gini_of_equal_shares_is_zero_and_of_one_item_near_one():
    assert gini(np.ones(10)) == pytest.approx(0)
    assert gini(np.array([0.0] * 99 + [5.0])) == pytest.approx(0.99)
    assert gini(np.zeros(3)) == 0


def test_shares_of_some_items_in_lists_and_hits():
    told = shares(lists(("ann", "ab"), ("bob", "ac")), wanted(("ann", "b"), ("bob", "a")), pl.Series(["b"]))
    assert told == {"impressions@10": 0.25, "hits@10": 0.5}
    assert shares(lists(), wanted(), pl.Series(["b"])) == {"impressions@10": 0, "hits@10": 0}
