from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_tasks.model.purchase import SEPARATOR
from recsys_tasks.schema import PurchasePairs
from recsys_tasks.settings import ClassifierSettings
from recsys_tasks.training.classifier_data import Question, histories, purchase_pairs

CUT = datetime(2026, 3, 1, tzinfo=UTC)
WEIGHTS = {"purchase": 1.0, "view": 0.2}
SCHEMA = {
    "user_id": pl.String,
    "item_id": pl.String,
    "event_type": pl.String,
    "occurred_at": pl.Datetime("us", "UTC"),
}
Row = tuple[str, str, str, float]


def question(*rows: Row) -> Question:
    """Rows of (shopper, text, event type, days behind the cut)."""
    named = [(user, text, kind, CUT + timedelta(days=day)) for user, text, kind, day in rows]
    events = pl.DataFrame(named, schema=SCHEMA, orient="row").sort("occurred_at", "user_id", "item_id")
    before = pl.col("occurred_at") < CUT
    return Question(events.filter(before), events.filter(~before), WEIGHTS, ["purchase"])


SHOP = (
    ("ann", "tea", "purchase", -9),
    ("ann", "cup", "view", -5),
    ("ann", "tea", "purchase", -3),
    ("ann", "mat", "wish", -2),
    ("ann", "pot", "purchase", 1),
    ("ann", "tea", "purchase", 2),
    ("ann", "jar", "view", 3),
    ("bob", "rug", "purchase", -4),
    ("bob", "mug", "purchase", 1),
    ("bob", "jar", "purchase", 1),
    # Nothing before the cut: nothing is asked of her, but others' negatives may be hers.
    ("cat", "fan", "purchase", 2),
)


def test_known_answers():
    pairs = purchase_pairs(question(*SHOP), ClassifierSettings(negatives=40), 1)
    rows = {(user, text): rest for user, _, text, *rest in pairs.iter_rows()}
    history = dict(pairs.select("user_id", "history").unique().iter_rows())
    # A wish has no weight, and tea was touched last.
    assert history == {"ann": f"tea{SEPARATOR}cup", "bob": "rug"}
    assert {key: first_time for key, (purchased, first_time) in rows.items() if purchased} == {
        ("ann", "pot"): True,
        ("ann", "tea"): False,
        ("bob", "mug"): True,
        ("bob", "jar"): True,
    }
    # Ann viewed the jar: it is none of hers to be offered as "not purchased".
    assert {key for key, (purchased, _) in rows.items() if not purchased} == {
        ("ann", "mug"),
        ("ann", "fan"),
        ("bob", "pot"),
        ("bob", "tea"),
        ("bob", "fan"),
    }
    assert pairs["user_id"].is_sorted()


def test_histories_hold_the_newest_distinct_texts():
    asked = question(*((("ann", name, "purchase", -10 + day)) for day, name in enumerate("abcab")))
    assert histories(asked.before, WEIGHTS, 2)["history"].to_list() == [f"b{SEPARATOR}a"]
    assert histories(asked.before, WEIGHTS, 9)["history"].to_list() == [SEPARATOR.join("bac")]


@pytest.mark.parametrize(
    "rows",
    [
        (),
        # Somebody takes something, but nobody has a history.
        (("ann", "tea", "purchase", 1), ("bob", "cup", "purchase", 1)),
        # A history, and nothing taken.
        (("ann", "tea", "purchase", -1),),
    ],
)
def test_where_nothing_can_be_asked_there_are_no_pairs(rows):
    PurchasePairs.validate(purchase_pairs(question(*rows), ClassifierSettings(), 1))
    assert purchase_pairs(question(*rows), ClassifierSettings(), 1).is_empty()


def test_a_shopper_alone_has_no_negative():
    alone = question(("ann", "tea", "purchase", -1), ("ann", "cup", "purchase", 1))
    assert purchase_pairs(alone, ClassifierSettings(), 1)["purchased"].to_list() == [True]


def test_limits_hold_and_the_seed_decides():
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user:02}", f"t{text:02}", "purchase", float(day))
        for user in range(30)
        for day in range(-10, 10)
        for text in rng.integers(60, size=1)
    ]
    limits = ClassifierSettings(max_users=10, max_positives=3, negatives=2)
    first, again, other = (purchase_pairs(question(*rows), limits, seed) for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)
    assert first["user_id"].n_unique() == 10
    counted = first.group_by("user_id").agg(
        positives=pl.col("purchased").sum(), negatives=(~pl.col("purchased")).sum()
    )
    assert counted["positives"].max() == 3
    assert 0 < counted["negatives"].max() <= 6


def test_another_shopper_is_drawn_first_and_one_of_her_items_then():
    """A shopper with fifty items gives no more negatives than a shopper with one."""
    rows = [("bob", f"b{n:02}", "purchase", 1.0) for n in range(50)] + [("cat", "fan", "purchase", 1.0)]
    rows += [row for n in range(400) for row in ((f"u{n}", "x", "purchase", -1.0),)]
    asked = question(*rows, *((f"u{n}", f"own{n}", "purchase", 1.0) for n in range(400)))
    pairs = purchase_pairs(asked, ClassifierSettings(negatives=40), 1).filter(~pl.col("purchased"))
    of_cat = (pairs["text"] == "fan").sum()
    # 400 askers draw 40 times among 401 others: one in ten meets her.
    assert of_cat == pytest.approx(400 * (1 - (1 - 1 / 401) ** 40), rel=0.25)


events = st.tuples(
    st.sampled_from(["u0", "u1", "u2", "u3"]),
    st.sampled_from(["t0", "t1", "t2", "t3", "t4", "t5"]),
    st.sampled_from(["purchase", "view", "wish"]),
    st.integers(-6, 6),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(events, max_size=40), st.integers(0, 3))
def test_each_pair_is_what_its_words_say(rows, seed):
    pairs = purchase_pairs(question(*rows), ClassifierSettings(history_items=2), seed)
    for user, history, text, purchased, first_time in pairs.iter_rows():
        touched = {t for u, t, _, _ in rows if u == user}
        before = {t for u, t, _, day in rows if u == user and day < 0}
        bought = {(u, t) for u, t, kind, day in rows if kind == "purchase" and day >= 0}
        ordered = sorted(
            (day, text) for u, text, kind, day in rows if u == user and day < 0 and kind != "wish"
        )
        newest = list(dict.fromkeys(text for _, text in reversed(ordered)))[:2]
        assert history == SEPARATOR.join(newest)
        assert first_time == (text not in before)
        if purchased:
            assert (user, text) in bought
        else:
            assert text not in touched
            assert any(other == text for u, other in bought if u != user)
