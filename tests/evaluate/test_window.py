from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from recsys_tasks.evaluate.bootstrap import mean_interval, paired_interval
from recsys_tasks.evaluate.window import score, slices, table, targets

START = datetime(2026, 3, 2, tzinfo=UTC)


def events(*rows: tuple[str, str, str, float]) -> pl.DataFrame:
    """Rows of (shopper, item, event type, days after the window's start)."""
    return pl.DataFrame(
        [(u, i, t, START + timedelta(days=d)) for u, i, t, d in rows],
        schema={
            "user_id": pl.String,
            "item_id": pl.String,
            "event_type": pl.String,
            "occurred_at": pl.Datetime("us", "UTC"),
        },
        orient="row",
    )


BEFORE = events(("ann", "tea", "purchase", -9), ("ann", "cup", "view", -3))
AFTER = events(
    ("ann", "tea", "purchase", 1),
    ("ann", "tea", "purchase", 2),
    ("ann", "cup", "purchase", 2),
    ("ann", "mat", "purchase", 3),
    ("ann", "pan", "view", 3),
    ("bob", "tea", "purchase", 4),
    ("bob", "secret", "purchase", 4),
)
ELIGIBLE = pl.Series(["cup", "mat", "pan", "tea"])
WANTED = targets(AFTER, ["purchase"], BEFORE, ELIGIBLE)


def test_relevant_is_what_was_taken_once_and_could_have_been_offered():
    assert WANTED.rows() == [
        ("ann", "cup", False, True),
        ("ann", "mat", True, True),
        ("ann", "tea", False, True),
        ("bob", "tea", True, False),
    ]


def test_slices_are_all_new_and_strangers():
    parts = {name: part.select("user_id", "item_id").rows() for name, part in slices(WANTED).items()}
    assert parts["new"] == [("ann", "mat"), ("bob", "tea")]
    assert parts["no_history"] == [("bob", "tea")]
    assert len(parts["all"]) == 4


def test_an_empty_window_has_nothing_relevant():
    assert targets(AFTER.head(0), ["purchase"], BEFORE, ELIGIBLE).is_empty()


def lists(**items: list[str]) -> pl.DataFrame:
    rows = [(user, item, rank) for user, row in items.items() for rank, item in enumerate(row, 1)]
    return pl.DataFrame(rows, schema=["user_id", "item_id", "rank"], orient="row")


def test_the_table_holds_means_intervals_and_how_far_the_reference_is_ahead():
    scores = {
        "challenger": score(lists(ann=["tea", "cup"], bob=["tea"]), WANTED),
        "popular": score(lists(ann=["pan", "mat"], bob=["mat", "tea"]), WANTED),
    }
    ours, theirs = table(scores, "challenger", resamples=100, seed=1)
    mine, other = (scores[name]["ndcg"].to_numpy() for name in ("challenger", "popular"))
    assert (ours["system"], ours["users"], theirs["system"]) == ("challenger", 2, "popular")
    assert ours["recall@10"] == pytest.approx((2 / 3 + 1) / 2, abs=1e-6)
    assert [ours["ndcg@10"], *ours["ndcg@10_interval"]] == pytest.approx(
        mean_interval(mine, 100, 1), abs=1e-6
    )
    assert theirs["ahead_ndcg@10"] == pytest.approx(paired_interval(mine, other, 100, 1), abs=1e-6)
    assert "ahead_ndcg@10" not in ours
