"""The contract with the shop's backend: the view ``recommendations``."""

import pytest
from sqlalchemy import inspect, text

from recsys_tasks.store.connect import is_postgresql
from tests.store.builders import MONDAY, TUESDAY, candidate, lists

COLUMNS = "surface user_id rank item_id score source reason night model run_id".split()


def test_the_columns_are_the_design_s(store):
    assert [column["name"] for column in inspect(store.engine).get_columns("recommendations")] == COLUMNS


def test_a_row_explains_itself(store):
    store.publish(candidate(), [lists()])
    first = store.user_list("bob")[0]
    assert (first.surface, first.user_id, first.rank, first.item_id, first.score) == (
        "for_you",
        "bob",
        1,
        "tea",
        1.0,
    )
    assert (first.source, first.reason) == ("repeat", "you bought tea before")
    assert (first.night, first.model, first.run_id) == (MONDAY, "model of 2026-03-02", "run of 2026-03-02")


def test_only_the_live_generation_is_seen(store):
    store.publish(candidate(), [lists(items=("tea", "milk", "rye"))])
    store.publish(candidate(TUESDAY), [lists(items=("oat", "nut", "fig"))], dry_run=True)
    with store.engine.connect() as connection:
        items = connection.execute(text("SELECT DISTINCT item_id FROM recommendations")).scalars().all()
    assert set(items) == {"tea", "milk", "rye"}


def test_a_stranger_and_another_surface_have_no_list(store):
    store.publish(candidate(), [lists()])
    assert store.user_list("nobody") == []
    assert store.user_list("ann", surface="cart") == []


def test_a_shopper_is_found_by_index_and_only_in_the_live_generation(store):
    for night in (MONDAY, TUESDAY):
        store.publish(candidate(night), [lists(users=map(str, range(500)))])
    query = "SELECT * FROM recommendations WHERE user_id = '77' AND surface = 'for_you'"
    explain = "EXPLAIN (ANALYZE, COSTS OFF) " if is_postgresql(store.engine) else "EXPLAIN QUERY PLAN "
    with store.engine.connect() as connection:
        plan = "\n".join(str(row) for row in connection.exec_driver_sql(explain + query))
    assert "subject_id" in plan
    if is_postgresql(store.engine):
        assert "Seq Scan on coded_lists" not in plan
        live, old = (line for line in plan.splitlines() if "Index Scan using pk_coded_lists" in line)
        assert sorted(["never executed" in live, "never executed" in old]) == [False, True]
    else:
        assert "SEARCH l USING INDEX" in plan


def test_a_lookup_looks_too_cheap_to_the_planner_to_be_compiled(store):
    if not is_postgresql(store.engine):
        pytest.skip("SQLite has no compiler")
    for night in (MONDAY, TUESDAY):
        store.publish(candidate(night), [lists(users=map(str, range(500)))])
    with store.engine.connect() as connection:
        explained = connection.exec_driver_sql(
            "EXPLAIN (FORMAT JSON) SELECT * FROM recommendations WHERE user_id = '77' AND surface = 'for_you'"
        )
        cost = explained.scalar_one()[0]["Plan"]["Total Cost"]
        above = float(connection.exec_driver_sql("SHOW jit_above_cost").scalar_one())
    assert cost < above / 50, "a shop keeps a score of generations, and the planner adds them up"


def test_what_is_not_asked_for_is_not_looked_up(store):
    if not is_postgresql(store.engine):
        pytest.skip("SQLite's plan names what is never asked, too")
    store.publish(candidate(), [lists()])
    query = "EXPLAIN SELECT rank FROM recommendations WHERE user_id = 'ann'"
    with store.engine.connect() as connection:
        plan = str(connection.exec_driver_sql(query).all())
    assert "coded_lists" in plan
    assert not any(table in plan for table in ("coded_items", "list_texts"))
