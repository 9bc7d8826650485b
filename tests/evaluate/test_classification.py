import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_tasks.evaluate.classification import classification, ranking

NAMES = ("O", "Purchased")


def test_known_answers():
    purchased = np.array([True, True, True, False, False, False, False, False])
    odds = np.float32([2.0, 1.0, -1.0, 0.5, -0.5, -2.0, -3.0, -4.0])
    report = classification(purchased, odds, NAMES)
    assert report["classes"]["Purchased"] == {
        "precision": 0.666667,
        "recall": 0.666667,
        "f1": 0.666667,
        "support": 3,
    }
    assert report["classes"]["O"] == {"precision": 0.8, "recall": 0.8, "f1": 0.8, "support": 5}
    assert report["accuracy"] == 0.75
    # Of 15 (purchased, other) pairs two stand the wrong way round: the purchase at -1 below .5 and -.5.
    assert report["roc_auc"] == pytest.approx(13 / 15, abs=1e-6)
    assert report["average_precision"] == pytest.approx((1 + 1 + 3 / 5) / 3, abs=1e-6)
    assert (report["pairs"], report["positive_share"]) == (8, 0.375)


@given(st.lists(st.tuples(st.booleans(), st.integers(-5, 5)), min_size=1, max_size=30))
def test_the_area_is_the_share_of_pairs_in_the_right_order(rows):
    purchased = np.array([is_positive for is_positive, _ in rows])
    scores = np.float32([score for _, score in rows])
    right = [
        1.0 if above > below else 0.5 if above == below else 0.0
        for above in scores[purchased]
        for below in scores[~purchased]
    ]
    expected = np.mean(right) if right else None
    assert ranking(purchased, scores)["roc_auc"] == (
        None if expected is None else pytest.approx(expected, abs=1e-6)
    )


@pytest.mark.parametrize("size", [0, 3])
def test_one_class_alone_has_no_order(size):
    report = classification(np.zeros(size, bool), np.zeros(size, np.float32), NAMES)
    assert report["roc_auc"] is None
    assert report["average_precision"] is None
    assert report["classes"]["Purchased"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}
