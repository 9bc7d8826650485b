from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from recsys_tasks.model.histories import Histories, microseconds

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
ITEMS = pl.Series(["cup", "mat", "tea"])
USERS = pl.Series(["ann", "bob", "cy"])
WEIGHTS = {"view": 1.0, "purchase": 3.0}


def log(*rows: tuple[str, str, str, float]) -> pl.DataFrame:
    """Rows of (user, item, event type, days before noon), in time order."""
    return pl.DataFrame(
        [(u, i, t, NOON - timedelta(days=d)) for u, i, t, d in rows],
        schema={
            "user_id": pl.String,
            "item_id": pl.String,
            "event_type": pl.String,
            "occurred_at": pl.Datetime("us", "UTC"),
        },
        orient="row",
    ).sort("occurred_at", "user_id", "item_id", "event_type")


def weights_of(rows, half_life: float, until: datetime = NOON, limit: int = 400) -> list[dict[str, float]]:
    """Item -> weight in the bag, for every user."""
    histories = Histories.collect(log(*rows), USERS, ITEMS, WEIGHTS)
    users, at = np.arange(len(USERS)), np.full(len(USERS), microseconds(until))
    bags = histories.bags(users, histories.ends(users, at), at, [half_life], limit)
    out = []
    for begin, end in zip(bags.offsets[:-1], bags.offsets[1:], strict=True):
        out.append(
            {
                ITEMS[int(i)]: float(v)
                for i, v in zip(bags.items[begin:end], bags.values[0][begin:end], strict=True)
            }
        )
    return out


def test_weights_halve_with_age_and_have_unit_length():
    ann, bob, cy = weights_of([("ann", "cup", "view", 0.5), ("ann", "tea", "view", 10.5)], half_life=10)
    assert ann == pytest.approx({"cup": 2 / 5**0.5, "tea": 1 / 5**0.5})
    assert bob == cy == {}


def test_a_purchase_counts_by_its_weight():
    ann, _, _ = weights_of([("ann", "cup", "view", 1), ("ann", "tea", "purchase", 1)], half_life=10)
    assert ann == pytest.approx({"cup": 1 / 10**0.5, "tea": 3 / 10**0.5})


def test_only_the_newest_events_are_read():
    ann, _, _ = weights_of(
        [("ann", "cup", "view", 3), ("ann", "mat", "view", 2), ("ann", "tea", "view", 1)], 10, limit=2
    )
    assert ann.keys() == {"mat", "tea"}


@pytest.mark.parametrize("days", [0, -0.1, -30])
def test_an_event_at_or_after_the_instant_is_not_history(days):
    ann, _, _ = weights_of([("ann", "cup", "view", 1), ("ann", "tea", "purchase", days)], half_life=10)
    assert ann.keys() == {"cup"}


def test_an_old_history_does_not_vanish_under_a_short_half_life():
    ann, _, _ = weights_of([("ann", "cup", "view", 4000)], half_life=0.5)
    assert ann == {"cup": 1.0}


def test_strangers_unknown_items_and_unweighted_types_are_left_out():
    rows = [("dee", "cup", "view", 1), ("ann", "sock", "view", 1), ("ann", "tea", "impression", 1)]
    assert weights_of(rows, half_life=10) == [{}, {}, {}]


def test_ends_are_those_of_a_plain_count():
    rng = np.random.default_rng(1)
    rows = [
        (USERS[int(u)], "cup", "view", float(d))
        for u, d in zip(rng.integers(0, 3, 60), rng.integers(0, 9, 60), strict=True)
    ]
    histories = Histories.collect(log(*rows), USERS, ITEMS, WEIGHTS)
    for user in range(3):
        for days in range(-1, 11):
            at = np.array([microseconds(NOON - timedelta(days=days))])
            plain = sum(1 for u, _, _, d in rows if u == USERS[user] and d > days)
            assert histories.ends(np.array([user]), at)[0] - histories.starts[user] == plain
