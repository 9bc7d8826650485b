import numpy as np
import pytest

from recsys_tasks.recommend.candidates import SOURCES
from recsys_tasks.recommend.model import Ranked
from recsys_tasks.recommend.proposals import Proposals
from recsys_tasks.recommend.reasons import reasons
from tests.recommend.shop import bought, catalogue, context, log, shoppers

ITEMS = catalogue("cola", "cup", "lemonade", "tea", title=["COLA 12 OZ", "", "LEMONADE", "TEA"])
COLA, CUP, LEMONADE, TEA = range(4)
# Cola is like lemonade, tea is like a cup.
LIKENESS = np.float32([[1, 0], [0, 1], [0.9, 0.1], [0.1, 0.9]])


def why(item, source, *rows, targets=("purchase",)):
    some = shoppers(context(log(*rows), ITEMS, targets=targets), "ann")
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
        # A type without words of its own, and three that this shop gives no weight.
        ("wish", "picked for you"),
        ("impression", "picked for you"),
        ("rating", "picked for you"),
        ("remove_from_cart", "picked for you"),
    ],
)
def test_a_suggestion_names_what_the_shopper_did(event_type, sentence):
    assert why(LEMONADE, "retrieval", ("ann", "cola", event_type, 1.0)) == sentence


def test_an_item_without_title_is_called_by_its_category():
    assert why(TEA, "retrieval", *bought("ann", "cup", 1)) == "because you bought c"


def test_an_impression_is_passed_over_for_what_was_bought():
    history = (("ann", "cola", "impression", 1.0), *bought("ann", "tea", 9))
    assert why(LEMONADE, "retrieval", *history) == "because you bought TEA"


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([("tea", "purchase", 3)], "you bought this before"),
        ([("tea", "cart", 3)], "you put this in the basket before"),
        ([("tea", "cart", 3), ("tea", "purchase", 9)], "you chose this on 2 days"),
        ([("tea", "wish", 3)], "you chose this before"),
        (
            [("tea", "cart", 3), ("tea", "cart", 10), ("tea", "purchase", 17)],
            "you come back to this about every 7 days",
        ),
        # What was done with another item says nothing of this one.
        ([("cup", "cart", 2), ("tea", "purchase", 3)], "you bought this before"),
    ],
)
def test_a_repeat_says_what_was_done_where_several_things_count(rows, sentence):
    history = [("ann", item, event_type, float(day)) for item, event_type, day in rows]
    assert why(TEA, "repeat", *history, targets=("purchase", "cart", "wish")) == sentence


@pytest.mark.parametrize(
    ("days", "sentence"),
    [
        ((3, 5), "popular this week"),
        ((3, 13), "popular this month"),
        ((3, 130), "popular with other shoppers"),
        ((130, 140), "popular with other shoppers"),
    ],
)
def test_popular_names_the_days_in_which_two_shoppers_took_it(days, sentence):
    rows = [("ann", "cup", "purchase", days[0]), ("bob", "cup", "purchase", days[1])]
    assert why(CUP, "popular", *rows) == sentence


@pytest.mark.parametrize("shopper", ["ann", "bob"])
@pytest.mark.parametrize("days", [(3,), (3, 4, 5), (130,)])
def test_what_one_shopper_took_is_not_called_popular(shopper, days):
    assert why(CUP, "popular", *bought(shopper, "cup", *days)) == "bought before in this shop"


def test_what_nobody_bought_is_not_said_to_be_bought():
    assert why(CUP, "popular", ("ann", "cup", "view", 1.0)) == "new to explore"
    rows = [("ann", "cup", "cart", 1.0)]
    assert why(CUP, "popular", *rows, targets=("cart",)) == "put in the basket before in this shop"
    assert why(CUP, "popular", *rows, targets=("cart", "purchase")) == "chosen before in this shop"


PAIRS = [(f"u{n}", item, "purchase", 9.0) for n in range(300) for item in ("cup", "tea")]


def test_a_neighbour_names_the_item_that_goes_with_it():
    history = (*bought("ann", "cola", 1), *bought("ann", "tea", 30))
    others = [(f"v{n}", "cola", "purchase", 9.0) for n in range(300)]
    assert why(CUP, "neighbours", *PAIRS, *others, *history) == "often bought by shoppers who bought TEA"


def test_a_neighbour_without_a_telling_item_is_only_picked():
    assert why(CUP, "neighbours", *PAIRS, ("ann", "tea", "impression", 1.0)) == "picked for you"
    assert why(CUP, "neighbours", *PAIRS, *bought("ann", "lemonade", 1)) == "picked for you"


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_has_words(source):
    words = why(CUP, source, *PAIRS, *bought("ann", "tea", 3))
    assert words
    assert "None" not in words
