"""What must keep lists from going live."""

import numpy as np
import polars as pl
import pytest

from recsys_tasks.errors import DataError, SchemaMismatch
from recsys_tasks.settings import StoreSettings
from recsys_tasks.store.audit import drift, fault
from recsys_tasks.store.figures import Figures, Offer
from recsys_tasks.store.shards import Coding, Shard
from recsys_tasks.store.tables import Generation
from tests.store.builders import MONDAY, TOP_K, TUESDAY, lists

STRICT = StoreSettings(max_short=0.0, max_shrink=0.2)
ITEMS = pl.Series(["tea", "milk", "rye"])


def audited(*frames, known=None, offered=None):
    figures = Figures(TOP_K, None if known is None else Offer.of(known, offered))
    coding = Coding()
    for frame in frames:
        figures.add(Shard.of(frame, coding))
    return figures


def counts(figures):
    return {name: count for name, count in figures.as_facts().items() if count}


def test_full_lists_pass():
    figures = audited(lists(), known=ITEMS)
    assert fault(figures, STRICT) is None
    assert counts(figures) == {"rows": 6, "users": 2, "coverage": 1.0}


def test_no_lists_at_all():
    assert "no lists" in fault(audited(lists(users=())), STRICT)


@pytest.mark.parametrize("known", [None, ITEMS])
def test_an_item_twice_in_a_list(known):
    figures = audited(lists(items=("tea", "tea", "rye")), known=known)
    assert figures.duplicates == 2
    assert "2 rows repeat an item" in fault(figures, STRICT)
    assert "raise store.max_duplicates (now 0.0)" in fault(figures, STRICT)
    assert fault(figures, StoreSettings(max_duplicates=0.5)) is None


def test_one_item_in_two_lists_is_no_duplicate():
    assert audited(lists(users=("ann", "bob", "cy"))).duplicates == 0


def test_two_unknown_items_are_no_duplicates():
    figures = audited(lists(items=("ghost", "wraith", "ghost")), known=ITEMS)
    assert (figures.unknown, figures.duplicates) == (6, 2)


def test_duplicates_are_counted_in_lists_of_any_length():
    frame = pl.concat(
        [lists(("ann",), ("tea", "rye", "tea", "milk", "tea")), lists(("bob",), ("tea",)), lists(("cy",))]
    )
    assert audited(frame).duplicates == 2


def test_an_unknown_item():
    figures = audited(lists(), known=ITEMS[:2])
    assert figures.unknown == 2
    assert "2 rows hold an item that the catalogue of the night does not" in fault(figures, STRICT)
    assert fault(figures, StoreSettings(max_unknown=0.34)) is None


def test_an_unavailable_item():
    figures = audited(lists(), known=ITEMS, offered=pl.Series(["tea", "milk"]))
    assert (figures.unknown, figures.unavailable) == (0, 2)
    assert "2 rows hold an item that is blocked or not available" in fault(figures, STRICT)
    assert fault(figures, StoreSettings(max_unavailable=0.34)) is None


def test_coverage_is_of_what_is_on_offer_and_over_all_shards():
    known = pl.Series([*ITEMS, "oat", "nut", "fig"])
    shards = lists(("ann",), ("tea", "milk")), lists(("bob",), ("tea", "rye"))
    assert audited(*shards, known=known).coverage == 0.5
    assert audited(*shards, known=known, offered=pl.Series(["tea", "oat", "nut", "fig"])).coverage == 0.25
    assert audited(*shards).coverage is None


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
    assert counts(audited(*(lists((user,), ("tea", "milk")) for user in ("ann", "bob")))) == {
        "rows": 4,
        "users": 2,
        "short": 2,
    }


@pytest.mark.parametrize("column", ["user_id", "item_id", "source", "reason"])
def test_nul_is_refused_by_name(column):
    with pytest.raises(DataError, match=f"{column} holds a NUL"):
        Shard.of(lists().with_columns(pl.lit("a\0b").alias(column)), Coding())


def test_a_missing_column_and_a_missing_value_are_named():
    with pytest.raises(SchemaMismatch, match="reason"):
        Shard.of(lists().drop("reason"), Coding())
    with pytest.raises(SchemaMismatch, match="score"):
        Shard.of(lists().with_columns(score=pl.lit(None, pl.Float32)), Coding())


def generation(night=TUESDAY, rows=100, users=10, top_k=10, refs=("towers",), fallback=0.1, **audit):
    return Generation(
        night=night,
        rows=rows,
        users=users,
        top_k=top_k,
        model_refs=dict.fromkeys(refs, "x"),
        fallback_share=fallback,
        audit=audit,
    )


def live_generation(**facts):
    live = generation(night=MONDAY, **facts)
    live.id = 7
    return live


def test_too_few_rows_against_the_live_lists():
    live = live_generation()
    assert drift(generation(rows=80), live, STRICT) is None
    assert "79 rows against 100" in drift(generation(rows=79), live, STRICT)
    assert "raise store.max_shrink (now 0.2)" in drift(generation(rows=79), live, STRICT)
    assert drift(generation(rows=1), None, STRICT) is None


def test_other_list_lengths_are_compared_by_shoppers():
    live = live_generation()
    assert drift(generation(rows=50, top_k=5), live, STRICT) is None
    assert "7 lists against 10" in drift(generation(rows=35, users=7, top_k=5), live, STRICT)


def test_an_older_night_may_be_smaller():
    assert drift(generation(night=MONDAY, rows=1), generation(night=TUESDAY), STRICT) is None


CHANGED = [
    ("churn", {"churn": 0.96, "against": 7}, "96.0% of a shopper's items", "max_churn (now 0.95)"),
    ("coverage", {"coverage": 0.05}, "5.00% of the catalogue, 50.00% before", "max_coverage_drop (now 0.8)"),
    (
        "fallback",
        {"fallback": 0.5},
        "50.0% of the lists are fallback lists, 10.0%",
        "max_fallback_rise (now 0.3)",
    ),
]


@pytest.mark.parametrize(("_what", "facts", "said", "setting"), CHANGED, ids=[row[0] for row in CHANGED])
def test_lists_of_one_kind_of_model_may_change_so_much(_what, facts, said, setting):
    live = live_generation(coverage=0.5)
    refused = drift(generation(**facts), live, StoreSettings())
    assert said in refused
    assert f"raise store.{setting}" in refused
    assert "\n" not in refused
    anything = StoreSettings(max_churn=1.0, max_coverage_drop=1.0, max_fallback_rise=1.0)
    assert drift(generation(**facts), live, anything) is None
    assert drift(generation(**facts), None, StoreSettings()) is None


def test_from_popular_lists_to_a_model_everything_may_change():
    live = live_generation(refs=("model",), coverage=0.0002, fallback=1.0)
    assert drift(generation(churn=1.0, against=7, coverage=0.5, fallback=0.0), live, StoreSettings()) is None


def test_a_model_that_is_lost_does_not_go_unseen():
    """The champion's artefacts are gone and tonight's model was refused: everybody would get the bestsellers."""
    popular = generation(refs=("model",), churn=1.0, against=7, coverage=0.0002, fallback=1.0)
    found = drift(popular, live_generation(coverage=0.5), StoreSettings())
    assert found.startswith("100.0% of the lists are fallback lists, 10.0% before")


def test_shorter_lists_may_show_less_of_the_catalogue():
    short = generation(rows=10, top_k=1, coverage=0.02)
    assert drift(short, live_generation(coverage=0.5), StoreSettings()) is None


def test_churn_against_lists_that_are_no_longer_live_says_nothing():
    assert drift(generation(churn=1.0, against=6), live_generation(), StoreSettings()) is None


def test_an_ordinary_night_is_far_from_every_limit():
    tonight = generation(rows=95, churn=0.5, against=7, coverage=0.3, fallback=0.2)
    assert drift(tonight, live_generation(coverage=0.5), StoreSettings()) is None


def test_a_repeated_item_is_found_wherever_it_stands():
    rng = np.random.default_rng(1)
    for _ in range(20):
        items = [f"i{n}" for n in rng.permutation(20)]
        twice = int(rng.integers(1, 20))
        items[twice] = items[int(rng.integers(0, twice))]
        assert audited(lists(("ann",), items), lists(("bob",), [f"i{n}" for n in range(20)])).duplicates == 1
