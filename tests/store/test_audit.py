"""What must keep lists from going live."""

import polars as pl
import pytest

from recsys_tasks.errors import DataError, SchemaMismatch
from recsys_tasks.settings import StoreSettings
from recsys_tasks.store.audit import Figures, checked, fault, shrinkage
from recsys_tasks.store.tables import Generation
from tests.store.builders import MONDAY, TOP_K, TUESDAY, lists

STRICT = StoreSettings(max_short=0.0, max_shrink=0.2)


def audited(frame, known_items=None):
    figures = Figures()
    figures.add(checked(frame), TOP_K, known_items)
    return figures


def test_full_lists_pass():
    figures = audited(lists(), known_items=pl.Series(["tea", "milk", "rye"]))
    assert fault(figures, STRICT) is None
    assert figures == Figures(rows=6, users=2)


def test_no_lists_at_all():
    assert "no lists" in fault(audited(lists(users=())), STRICT)


def test_an_item_twice_in_a_list():
    figures = audited(lists(items=("tea", "tea", "rye")))
    assert figures.duplicates == 2
    assert "repeat an item" in fault(figures, STRICT)


def test_one_item_in_two_lists_is_no_duplicate():
    assert audited(lists(users=("ann", "bob", "cy"))).duplicates == 0


def test_an_unknown_item():
    figures = audited(lists(), known_items=pl.Series(["tea", "milk"]))
    assert figures.unknown == 2
    assert "catalogue" in fault(figures, STRICT)


def test_a_gap_in_the_ranks():
    gap = lists().with_columns(rank=pl.col("rank") + (pl.col("rank") > 1).cast(pl.Int32))
    assert "ranks" in fault(audited(gap), STRICT)


def test_short_lists_up_to_a_share():
    one_short = audited(pl.concat([lists(users=map(str, range(9))), lists(("short",), ("tea",))]))
    assert one_short.short == 1
    assert "shorter than top_k" in fault(one_short, STRICT)
    assert "raise store.max_short (now 0.0)" in fault(one_short, STRICT)
    assert fault(one_short, StoreSettings(max_short=0.1)) is None


def test_shards_add_up():
    figures = Figures()
    for user in ("ann", "bob"):
        figures.add(checked(lists((user,), ("tea", "milk"))), TOP_K, None)
    assert figures == Figures(rows=4, users=2, short=2)


@pytest.mark.parametrize("column", ["user_id", "item_id", "source", "reason"])
def test_nul_is_refused_by_name(column):
    with pytest.raises(DataError, match=f"{column} holds a NUL"):
        checked(lists().with_columns(pl.lit("a\0b").alias(column)))


def test_a_missing_column_and_a_missing_value_are_named():
    with pytest.raises(SchemaMismatch, match="reason"):
        checked(lists().drop("reason"))
    with pytest.raises(SchemaMismatch, match="score"):
        checked(lists().with_columns(score=pl.lit(None, pl.Float32)))


def generation(night=TUESDAY, rows=100, users=10, top_k=10):
    return Generation(night=night, rows=rows, users=users, top_k=top_k)


def test_too_few_rows_against_the_live_lists():
    live = generation(night=MONDAY)
    assert shrinkage(generation(rows=80), live, STRICT) is None
    assert "79 rows against 100" in shrinkage(generation(rows=79), live, STRICT)
    assert "raise store.max_shrink (now 0.2)" in shrinkage(generation(rows=79), live, STRICT)
    assert shrinkage(generation(rows=1), None, STRICT) is None


def test_other_list_lengths_are_compared_by_shoppers():
    live = generation(night=MONDAY)
    assert shrinkage(generation(rows=50, top_k=5), live, STRICT) is None
    assert "7 lists against 10" in shrinkage(generation(rows=35, users=7, top_k=5), live, STRICT)


def test_an_older_night_may_be_smaller():
    assert shrinkage(generation(night=MONDAY, rows=1), generation(night=TUESDAY), STRICT) is None
