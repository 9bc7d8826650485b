import numpy as np
import pytest

from recsys_tasks.recommend.model import Ranked
from recsys_tasks.recommend.proposals import Proposals
from recsys_tasks.recommend.reasons import reasons
from tests.recommend.shop import bought, catalogue, context, log, shoppers

ITEMS = catalogue("cola", "cup", "lemonade", "tea", title=["COLA 12 OZ", "", "LEMONADE", "TEA"])
COLA, CUP, LEMONADE, TEA = range(4)
# Cola is like lemonade, tea is like a cup.
LIKENESS = np.float32([[1, 0], [0, 1], [0.9, 0.1], [0.1, 0.9]])


def why(item, source, *rows):
    some = shoppers(context(log(*rows), ITEMS), "ann")
    row = Proposals(np.array([0]), np.array([item]), np.float32([1]))
    return reasons(Ranked.of(row, source), some, LIKENESS)[0]


@pytest.mark.parametrize(
    ("days", "sentence"),
    [
        ((3, 17, 31), "you buy this about every 14 days"),
        ((1, 2, 3), "you buy this about every day"),
        # Bought every other day once, and not for a month: a habit no more.
        ((30, 32, 34), "you bought this on 3 days"),
        ((3, 17), "you bought this on 2 days"),
        ((3,), "you bought this before"),
    ],
)
def test_a_repeat_names_its_cadence(days, sentence):
    assert why(TEA, "repeat", *bought("ann", "tea", *days)) == sentence


def test_a_suggestion_names_the_most_alike_item_of_the_history():
    history = (*bought("ann", "cola", 30), *bought("ann", "tea", 1))
    assert why(LEMONADE, "retrieval", *history) == "because you bought COLA 12 OZ"


@pytest.mark.parametrize(
    ("event_type", "sentence"),
    [
        ("view", "because you looked at COLA 12 OZ"),
        ("cart", "because you put COLA 12 OZ in the basket"),
        ("wish", "because you chose COLA 12 OZ"),
    ],
)
def test_a_suggestion_names_what_the_shopper_did(event_type, sentence):
    assert why(LEMONADE, "retrieval", ("ann", "cola", event_type, 1.0)) == sentence


def test_an_item_without_title_is_called_by_its_category():
    assert why(TEA, "retrieval", *bought("ann", "cup", 1)) == "because you bought c"


def test_popular_says_when():
    assert why(CUP, "popular", *bought("bob", "cup", 3)) == "popular this week"
    assert why(CUP, "popular", *bought("bob", "cup", 13)) == "popular this month"
    assert why(CUP, "popular", *bought("bob", "cup", 130)) == "popular with other shoppers"
