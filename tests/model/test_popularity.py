from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from recsys_tasks.model.popularity import popularity, popularity_matrix

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


def test_a_shopper_counts_once_and_every_event_counts():
    log = events(("ann", "tea", 1), ("ann", "tea", 2), ("bob", "tea", 3), ("bob", "jam", 3))
    assert popularity(log, NOON, 7).rows() == [("tea", 2, 3), ("jam", 1, 1)]


def test_the_window_begins_inside_and_ends_before_the_instant():
    log = events(("ann", "first", 7), ("ann", "early", 7.01), ("ann", "now", 0), ("ann", "late", -1))
    assert popularity(log, NOON, 7)["item_id"].to_list() == ["first"]


def test_equally_popular_items_stand_by_id():
    log = events(("ann", "c", 1), ("ann", "a", 1), ("ann", "b", 1))
    assert popularity(log, NOON, 7)["item_id"].to_list() == ["a", "b", "c"]


def test_only_the_named_event_types_count():
    log = pl.concat([events(("ann", "tea", 1)), events(("bob", "tea", 1), event_type="view")])
    assert popularity(log, NOON, 7, ["view"]).rows() == [("tea", 1, 1)]


def test_the_matrix_has_a_row_an_item_and_a_column_a_window():
    log = events(("ann", "tea", 1), ("bob", "tea", 10), ("bob", "jam", 10))
    matrix = popularity_matrix(log, NOON, pl.Series(["jam", "new", "tea"]), [7, 28])
    assert np.allclose(np.expm1(matrix), [[0, 1], [0, 0], [1, 2]])
