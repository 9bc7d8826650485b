from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from recsys_tasks.model.histories import microseconds
from recsys_tasks.model.launches import SHRINKAGE, Launches
from recsys_tasks.model.popularity import popularity_matrix

NOON = datetime(2026, 6, 30, 12, tzinfo=UTC)
ITEMS = pl.Series("item_id", ["cap", "hat", "jam", "new", "old", "tea"])
CATEGORIES = pl.DataFrame(
    {"item_id": ITEMS, "category": ["wear", "wear", "food", "food", None, "food"]},
)
WEIGHTS = {"purchase": 1.0}
OLD = [(f"u{n}", "old", 150.0) for n in range(9)]
# hat got 4 shoppers in its first week, tea 2; cap came two days ago and got 3.
LOG = [
    *OLD,
    *((f"u{n}", "hat", 100.0 - n) for n in range(4)),
    *((f"u{n}", "hat", 80.0) for n in range(4, 9)),
    *((f"u{n}", "tea", 50.0) for n in range(2)),
    *((f"u{n}", "cap", 2.0) for n in range(3)),
    ("u1", "old", 3.0),
]


def events(rows=LOG, event_type="purchase") -> pl.DataFrame:
    return pl.DataFrame(
        [(u, i, event_type, NOON - timedelta(days=d)) for u, i, d in rows],
        schema={
            "user_id": pl.String,
            "item_id": pl.String,
            "event_type": pl.String,
            "occurred_at": pl.Datetime("us", "UTC"),
        },
        orient="row",
    ).sort("occurred_at", "user_id", "item_id")


def launches(log=None, items=ITEMS, categories=CATEGORIES) -> Launches:
    return Launches.of(events() if log is None else log, items, categories, [7], WEIGHTS)


def completed(log=None, items=ITEMS) -> dict[str, float]:
    log = events() if log is None else log
    counted = popularity_matrix(log, NOON, items, [7], WEIGHTS)
    result = launches(log, items).complete(counted, microseconds(NOON))
    return dict(zip(items, np.expm1(result[:, 0]).tolist(), strict=True))


def hoped(category_sum: float, count: int) -> float:
    """Buyers expected by hand: the category's mean of log1p, drawn to the shop's."""
    mean = (np.log1p(4) + np.log1p(2)) / 2
    return np.expm1((category_sum + SHRINKAGE * mean) / (count + SHRINKAGE))


def test_an_item_nobody_took_gets_what_launches_of_its_category_got():
    assert completed()["new"] == pytest.approx(hoped(np.log1p(2), 1), rel=1e-5)


def test_a_category_without_launches_gets_the_shops():
    items = pl.Series("item_id", [*ITEMS, "zip"])
    assert completed(items=items)["zip"] == pytest.approx(hoped(0, 0), rel=1e-5)


def test_an_item_that_somebody_took_keeps_its_count():
    found = completed()
    assert found["cap"] == pytest.approx(3)
    assert found["old"] == pytest.approx(1)
    assert found["hat"] == found["tea"] == pytest.approx(0, abs=1e-6)


def test_what_was_there_when_the_log_began_is_no_launch():
    without = [row for row in LOG if row[1] not in ("hat", "tea")]
    assert completed(events(without))["new"] == 0


def test_a_launch_whose_window_is_not_over_teaches_nothing():
    early = [row for row in LOG if row[1] != "tea"]
    fresh = [*early, *((f"u{n}", "tea", 6.0) for n in range(9))]
    assert completed(events(fresh))["new"] == pytest.approx(completed(events(early))["new"])


def test_the_future_changes_nothing():
    later = [*LOG, *((f"u{n}", "new", -1.0) for n in range(9)), *((f"u{n}", "hat", 0.0) for n in range(9))]
    assert completed(events(later)) == pytest.approx(completed())


def test_launches_of_long_ago_are_forgotten():
    ancient = [*((u, i, d + 400) for u, i, d in OLD), *((f"u{n}", "jam", 250.0) for n in range(9)), *LOG]
    assert completed(events(ancient))["new"] == pytest.approx(completed()["new"])


def test_an_empty_log_hopes_for_nothing():
    assert set(completed(events([])).values()) == {0.0}
