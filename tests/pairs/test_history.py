import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_tasks.pairs.coding import code_log
from recsys_tasks.pairs.history import Timeline, own_items
from tests.pairs.logs import items, rows, shoppers
from tests.pairs.shop import day, log

targets = st.lists(
    st.tuples(
        shoppers | st.just("stranger"),
        items | st.just("unseen"),
        st.integers(0, 25),
        st.integers(0, 25),
        st.booleans(),
    ),
    min_size=1,
    max_size=20,
)


def asked(*rows):
    """Targets (shopper, item, day of the cut, day of the last positive, whether called new)."""
    data = [(u, i, day(cut), day(until), new) for u, i, cut, until, new in rows]
    return pl.DataFrame(
        data, ["user_id", "item_id", "history_until", "positives_until", "is_new"], orient="row"
    )


def contradictions(events, *rows):
    missed, miscalled = Timeline(code_log(events)).contradictions(asked(*rows))
    return list(zip(missed.tolist(), miscalled.tolist(), strict=True))


@pytest.mark.parametrize(
    ("why", "target", "expected"),
    [
        ("right", ("ann", "tent", 3, 5, True), (False, False)),
        ("bought on the cut", ("ann", "tent", 5, 5, True), (False, False)),
        ("bought before the cut", ("ann", "tent", 6, 9, False), (True, False)),
        ("called new and is not", ("ann", "tent", 6, 9, True), (True, True)),
        ("called known and is not", ("ann", "tent", 3, 5, False), (False, True)),
        ("never bought", ("ann", "bag", 3, 5, True), (True, False)),
        ("bought by another", ("bob", "tent", 3, 5, True), (True, False)),
        ("bought too late", ("ann", "tent", 3, 4, True), (True, False)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_target_is_held_against_the_log(why, target, expected):
    events = log(("ann", "tent", "purchase", 5), ("bob", "bag", "purchase", 5))
    assert contradictions(events, target) == [expected]


@given(rows, targets)
def test_the_timeline_answers_like_the_log(rows, targets):
    events = log(*rows)
    for answer, (user, item, cut, until, new) in zip(contradictions(events, *targets), targets, strict=True):
        times = [d for u, i, _, d in rows if (u, i) == (user, item)]
        assert answer == (not any(cut <= d <= until for d in times), new == any(d < cut for d in times))


@given(rows, st.lists(st.tuples(shoppers, items), max_size=20))
def test_own_items_are_the_ones_the_log_has(rows, asked):
    negatives = pl.DataFrame(
        [(u, "anchor", i) for u, i in asked],
        dict.fromkeys(("user_id", "anchor_id", "negative_id"), pl.String),
        orient="row",
    )
    found = own_items(negatives, code_log(log(*rows)))
    assert found.select("user_id", "negative_id").rows() == [
        q for q in asked if q in {(u, i) for u, i, _, _ in rows}
    ]
