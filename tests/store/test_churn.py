"""How far tonight's lists are from the live ones, measured and judged."""

import polars as pl
import pytest

from recsys_tasks.errors import PublishRefused
from recsys_tasks.settings import StoreSettings
from recsys_tasks.store import churn as churning
from tests.store.builders import MONDAY, TUESDAY, WEDNESDAY, candidate, lists

SHOPPERS = [f"shopper {n:03d}" for n in range(churning.ENOUGH)]
OLD = ("tea", "milk", "rye", "oat")


def publish(store, night, frame, settings=None, **facts):
    return store.publish(candidate(night, **facts), [frame], settings or StoreSettings()).generation


def test_the_share_of_items_that_the_live_list_lacks(store):
    monday = publish(store, MONDAY, lists(SHOPPERS, OLD))
    tuesday = publish(store, TUESDAY, lists(SHOPPERS, ("nut", "rye", "milk", "tea")))
    assert "churn" not in monday.audit
    assert (tuesday.audit["against"], tuesday.audit["churn_shoppers"]) == (monday.id, 100)
    assert tuesday.audit["churn"] == 0.25
    assert store.generations()[-1].audit == tuesday.audit


def test_only_shoppers_with_a_list_in_both_are_compared(store):
    publish(store, MONDAY, lists(SHOPPERS, OLD))
    both = pl.concat([lists(SHOPPERS, OLD), lists(["new 1", "new 2"], ("nut", "fig", "egg", "jam"))])
    tuesday = publish(store, TUESDAY, both)
    assert (tuesday.audit["churn_shoppers"], tuesday.audit["churn"]) == (100, 0.0)


def test_another_order_is_no_change(store):
    publish(store, MONDAY, lists(SHOPPERS, OLD))
    assert publish(store, TUESDAY, lists(SHOPPERS, OLD[::-1])).audit["churn"] == 0.0


def test_longer_lists_that_begin_as_before_are_no_change(store):
    publish(store, MONDAY, lists(SHOPPERS, OLD[:2]), top_k=2)
    assert publish(store, TUESDAY, lists(SHOPPERS, OLD), top_k=4).audit["churn"] == 0.0
    assert publish(store, WEDNESDAY, lists(SHOPPERS, OLD[:1]), top_k=1).audit["churn"] == 0.0


def test_a_few_shoppers_may_change_all_they_have(store):
    publish(store, MONDAY, lists(SHOPPERS[:-1], OLD))
    assert publish(store, TUESDAY, lists(SHOPPERS[:-1], ("a", "b", "c", "d"))).audit["churn"] is None


def test_lists_of_somebody_else_are_refused_and_the_live_ones_stay(store):
    own = [lists([shopper], [f"{shopper} {n}" for n in range(3)]) for shopper in SHOPPERS]
    publish(store, MONDAY, pl.concat(own))
    shifted = pl.concat(own).with_columns(
        user_id=pl.col("user_id").replace(SHOPPERS, [*SHOPPERS[1:], SHOPPERS[0]])
    )
    with pytest.raises(
        PublishRefused, match=r"100\.0% of a shopper's items .*raise store\.max_churn \(now 0\.95\)"
    ):
        publish(store, TUESDAY, shifted)
    assert (store.live().night, store.generations()[-1].state) == (MONDAY, "refused")
    assert publish(store, TUESDAY, shifted, StoreSettings(max_churn=1.0)).state == "ready"


def test_from_popular_lists_to_a_model_s_everything_may_change(store):
    publish(store, MONDAY, lists(SHOPPERS, OLD), model_refs={"model": "popular"})
    tuesday = publish(store, TUESDAY, lists(SHOPPERS, ("a", "b", "c", "d")))
    assert (tuesday.audit["churn"], store.live().id) == (1.0, tuesday.id)


def test_of_many_shoppers_some_are_drawn_evenly(store, monkeypatch):
    monkeypatch.setattr(churning, "SHOPPERS", 25)
    monkeypatch.setattr(churning, "ENOUGH", 20)
    publish(store, MONDAY, lists(SHOPPERS, OLD))
    # The second half changed: a sample from one end would say 0 or 1.
    half = pl.concat([lists(SHOPPERS[:50], OLD), lists(SHOPPERS[50:], ("a", "b", "c", "d"))])
    tuesday = publish(store, TUESDAY, half)
    assert tuesday.audit["churn_shoppers"] == 25
    assert tuesday.audit["churn"] == pytest.approx(0.5, abs=0.05)


def test_lists_of_a_dry_run_are_compared_again_with_what_is_live_by_then(store):
    publish(store, MONDAY, lists(SHOPPERS, OLD))
    wanted = candidate(WEDNESDAY, lists_ref="lists/w")
    dry = store.publish(wanted, [lists(SHOPPERS, ("a", "b", "c", "tea"))], dry_run=True).generation
    assert (dry.audit["against"], dry.audit["churn"]) == (1, 0.75)
    tuesday = publish(store, TUESDAY, lists(SHOPPERS, ("a", "b", "milk", "tea")))
    late = store.publish(wanted, ())
    assert late.switched
    assert (late.generation.audit["against"], late.generation.audit["churn"]) == (tuesday.id, 0.25)
