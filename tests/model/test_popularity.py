from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from recsys_tasks.model.popularity import buyers, popularity_matrix

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def events(*rows: tuple[str, str, float], event_type: str = "purchase") -> pl.DataFrame:
    """Rows of (user, item, days before noon)."""
    return pl.DataFrame(
        [(u, i, event_type, NOON - timedelta(days=d)) for u, i, d in rows],
        schema={
            "user_id": pl.String,
            "item_id": pl.String,
            "event_type": pl.String,
            "occurred_at": pl.Datetime("us", "UTC"),
        },
        orient="row",
    ).sort("occurred_at")


def counts(log: pl.DataFrame, *items: str, days: int = 7, event_types: list[str] | None = None) -> list[int]:
    matrix = popularity_matrix(log, NOON, pl.Series(items), [days], event_types)
    return np.expm1(matrix[:, 0]).round(4).tolist()


def test_a_shopper_counts_once_an_item():
    log = events(("ann", "tea", 1), ("ann", "tea", 2), ("bob", "tea", 3), ("bob", "jam", 3))
    assert counts(log, "jam", "tea") == [1, 2]


def test_the_window_begins_inside_and_ends_before_the_instant():
    second = 1 / 86_400
    log = events(("ann", "first", 7), ("ann", "early", 7 + second), ("ann", "now", 0), ("ann", "late", -1))
    assert counts(log, "early", "first", "late", "now") == [0, 1, 0, 0]


def test_only_the_named_event_types_count():
    log = pl.concat([events(("ann", "tea", 1)), events(("bob", "tea", 1), event_type="view")])
    assert counts(log, "tea", event_types=["view"]) == [1]
    assert counts(log, "tea") == [2]


@pytest.mark.parametrize("seed", range(3))
def test_buyers_are_those_of_plain_sets(seed):
    rng = np.random.default_rng(seed)
    user, item = rng.integers(0, 9, 200), rng.integers(0, 7, 200)
    by_hand = [len({int(u) for u, i in zip(user, item, strict=True) if i == place}) for place in range(8)]
    assert buyers(user, item, 8).tolist() == by_hand


def test_nothing_counts_nobody():
    nothing = np.zeros(0, np.int64)
    assert buyers(nothing, nothing, 3).tolist() == [0, 0, 0]
    assert buyers(nothing, nothing, 0).tolist() == []
    assert counts(events(), "tea") == [0]


def test_the_matrix_has_a_row_an_item_and_a_column_a_window():
    log = events(("ann", "tea", 1), ("bob", "tea", 10), ("bob", "jam", 10))
    matrix = popularity_matrix(log, NOON, pl.Series(["jam", "new", "tea"]), [7, 28])
    assert np.allclose(np.expm1(matrix), [[0, 1], [0, 0], [1, 2]])
