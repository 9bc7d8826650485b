"""Publish: beside, audited, switched; what readers see in between and when it is cut off."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from unittest.mock import Mock

import polars as pl
import psycopg
import pytest
from sqlalchemy.exc import OperationalError, ProgrammingError

from recsys_tasks.errors import Busy, PublishRefused, StoreUnavailable
from recsys_tasks.settings import StoreSettings
from recsys_tasks.store import publish as publishing
from recsys_tasks.store.connect import is_postgresql
from recsys_tasks.store.publish import alone
from tests.store.builders import MONDAY, TUESDAY, candidate, lists

OTHER = ("oat", "nut", "fig")


def live_items(store):
    return [row.item_id for row in store.user_list("ann")]


def test_published_lists_are_live(store):
    published = store.publish(candidate(fallback_share=0.25), [lists()], who="me")
    assert published.switched
    live = store.live()
    assert (live.id, live.night, live.rows, live.users, live.fallback_share) == (
        published.generation.id,
        MONDAY,
        6,
        2,
        0.25,
    )
    assert [(move.to_generation_id, move.moved_by) for move in store.moves()] == [(live.id, "me")]


def test_a_dry_run_loads_and_audits_but_does_not_switch(store):
    store.publish(candidate(), [lists()])
    published = store.publish(candidate(TUESDAY, lists_ref="lists/t"), [lists(items=OTHER)], dry_run=True)
    assert (published.switched, published.why, published.generation.state) == (False, "dry run", "ready")
    assert live_items(store) == ["tea", "milk", "rye"]


def test_lists_of_a_dry_run_go_live_without_being_loaded_again(store):
    dry = store.publish(candidate(lists_ref="lists/m"), [lists()], dry_run=True)
    published = store.publish(candidate(lists_ref="lists/m"), ())
    assert published.switched
    assert published.generation.id == dry.generation.id == store.live().id


KNOWN = pl.Series(["tea", "milk", "rye"])
LATER = [
    ("an item is blocked", {"offered_items": KNOWN[1:]}, StoreSettings(), "blocked or not available"),
    ("an item is withdrawn", {"known_items": KNOWN[:2]}, StoreSettings(), "catalogue of the night does not"),
    ("a limit is tightened", {}, StoreSettings(max_short=0.0), "shorter than top_k"),
]


@pytest.mark.parametrize(
    ("changed", "settings", "why"), [case[1:] for case in LATER], ids=[case[0] for case in LATER]
)
def test_lists_of_a_dry_run_are_held_against_what_holds_when_they_go_live(store, changed, settings, why):
    store.publish(candidate(), [lists()])
    frame, items = lists(("ann", "bob")), {"known_items": KNOWN, "offered_items": KNOWN}
    some_short = pl.concat([frame, lists(("cy",), ("tea", "milk"))])
    tonight, loose = candidate(TUESDAY, lists_ref="lists/t"), StoreSettings(max_short=0.5)
    store.publish(tonight, [some_short], loose, **items, dry_run=True)
    strict = settings if "max_short" in settings.model_fields_set else loose
    for _ in range(2):
        with pytest.raises(PublishRefused, match=why):
            store.publish(tonight, [some_short], strict, **{**items, **changed})
        assert store.live().night == MONDAY
    assert store.publish(tonight, [some_short], loose, **items).switched, (
        "what the dry run was held against holds again"
    )


def test_lists_of_a_dry_run_go_live_under_other_rules_that_they_keep(store):
    tonight = candidate(lists_ref="lists/m")
    dry = store.publish(tonight, [lists()], known_items=KNOWN, offered_items=KNOWN, dry_run=True)
    more = pl.concat([KNOWN, pl.Series(["fig"])])
    published = store.publish(tonight, [lists()], known_items=more, offered_items=more)
    assert published.switched
    assert published.generation.id != dry.generation.id
    assert published.generation.audit["coverage"] == pytest.approx(3 / 4)
    assert (
        store.publish(tonight, (), known_items=KNOWN, offered_items=KNOWN).why
        == "these lists are live already"
    )


def test_lists_that_were_loaded_by_a_run_that_died_are_not_loaded_again(store):
    """Between the load and the audit against the live lists."""
    left = store.load_generation(candidate(lists_ref="lists/m"), [lists()], known_items=KNOWN)
    published = store.publish(candidate(lists_ref="lists/m"), (), known_items=KNOWN)
    assert (published.switched, published.generation.id) == (True, left.id)


def test_the_order_of_the_items_is_no_other_catalogue(store):
    tonight = candidate(lists_ref="lists/m")
    dry = store.publish(tonight, [lists()], known_items=KNOWN, dry_run=True)
    published = store.publish(tonight, (), known_items=KNOWN.reverse())
    assert (published.switched, published.generation.id) == (True, dry.generation.id)


def test_the_same_lists_again_change_nothing(store):
    first = store.publish(candidate(lists_ref="lists/m"), [lists()])
    again = store.publish(candidate(lists_ref="lists/m"), [lists()])
    assert (again.switched, again.why) == (False, "these lists are live already")
    assert again.generation.id == first.generation.id
    assert len(store.generations()) == len(store.moves()) == 1


def test_the_same_night_again_replaces_its_lists(store):
    store.publish(candidate(lists_ref="lists/a"), [lists()])
    assert store.publish(candidate(lists_ref="lists/b"), [lists(items=OTHER)]).switched
    assert live_items(store) == list(OTHER)


def test_lists_that_another_run_made_since_stay_live(store):
    """A failed publish that is run again in the morning, after another run has done the night."""
    store.publish(candidate(lists_ref="lists/b", run_id="b"), [lists()])
    late = candidate(lists_ref="lists/a", run_id="a", made_since="lists/b")
    published = store.publish(late, [lists(items=OTHER)])
    assert (published.switched, published.live) == (False, False)
    assert published.why == "the live lists of this night were made since, by run b (generation 1)"
    assert live_items(store) == ["tea", "milk", "rye"]


def test_lists_that_were_made_since_and_are_not_live_are_no_hindrance(store):
    store.publish(candidate(lists_ref="lists/b", run_id="b"), [lists()], dry_run=True)
    late = candidate(lists_ref="lists/a", run_id="a", made_since="lists/b")
    assert store.publish(late, [lists(items=OTHER)]).switched


def test_lists_that_were_audited_anew_cannot_be_named_as_they_were_before(store):
    store.publish(candidate(lists_ref="lists/m"), [lists()])
    dry = store.publish(candidate(TUESDAY, lists_ref="lists/t"), [lists(items=OTHER)], dry_run=True)
    blocked = pl.Series(["oat", "nut"])
    with pytest.raises(PublishRefused):
        store.publish(
            candidate(TUESDAY, lists_ref="lists/t"),
            [lists(items=OTHER)],
            known_items=pl.Series(OTHER),
            offered_items=blocked,
        )
    with pytest.raises(PublishRefused, match="audited anew as generation 3"):
        store.rollback(dry.generation.id, who="me", why="try")
    assert live_items(store) == ["tea", "milk", "rye"]


def test_an_older_night_is_loaded_but_never_moves_the_live_lists(store):
    store.publish(candidate(TUESDAY), [lists()])
    published = store.publish(candidate(MONDAY), [lists(("ann",), OTHER)])
    assert not published.switched
    assert "newer (night 2026-03-03)" in published.why
    assert (store.live().night, published.generation.state) == (TUESDAY, "ready")


def test_a_retry_of_lists_that_were_rolled_back_says_so_and_leaves_the_live_ones(store):
    store.publish(candidate(MONDAY), [lists()])
    bad = store.publish(candidate(TUESDAY, lists_ref="lists/t"), [lists(items=OTHER)]).generation
    store.rollback(why="bad prices", who="me")
    retried = store.publish(candidate(TUESDAY, lists_ref="lists/t"), [lists(items=OTHER)])
    assert (retried.switched, retried.live, retried.generation.id) == (False, False, bad.id)
    assert re.search(
        r"rolled back on \d{4}-.* UTC \(bad prices\); publish again with changed lists", retried.why
    )
    assert f"rollback --to {bad.id}" in retried.why
    assert (store.live().night, len(store.moves())) == (MONDAY, 3)
    assert store.publish(candidate(TUESDAY, lists_ref="lists/mended"), [lists()]).switched


def test_rolled_back_lists_stay_so_though_they_were_pruned(store):
    store.publish(candidate(MONDAY), [lists()])
    store.publish(candidate(TUESDAY, lists_ref="lists/t"), [lists()])
    store.rollback(why="bad prices", who="me")
    for _ in range(2):
        store.publish(candidate(TUESDAY), [lists()], StoreSettings(keep_generations=1), dry_run=True)
    assert store.generations()[1].state == "pruned"
    again = store.publish(candidate(TUESDAY, lists_ref="lists/t"), [lists()])
    assert not again.live
    assert "bad prices" in again.why
    store.rollback(again.generation.id, why="they were fine", who="me")
    assert store.publish(candidate(TUESDAY, lists_ref="lists/t"), ()).live


def test_rolled_back_lists_can_be_named_whatever_is_live(store):
    store.publish(candidate(MONDAY), [lists(users=map(str, range(9)))])
    small = StoreSettings(max_shrink=1.0)
    bad = store.publish(candidate(TUESDAY, lists_ref="lists/t"), [lists()], small).generation
    store.rollback(why="bad", who="me")
    assert store.publish(candidate(TUESDAY, lists_ref="lists/t"), ()).generation.state == "ready"
    assert store.rollback(bad.id, why="fine", who="me").id == bad.id


def test_whether_lists_are_live_is_said_apart_from_whether_they_went_live(store):
    first = store.publish(candidate(lists_ref="lists/m"), [lists()])
    again = store.publish(candidate(lists_ref="lists/m"), [lists()])
    dry = store.publish(candidate(TUESDAY), [lists()], dry_run=True)
    assert [(p.switched, p.live) for p in (first, again, dry)] == [
        (True, True),
        (False, True),
        (False, False),
    ]


PRUNING_FAULTS = [
    OperationalError("DROP TABLE x", {}, psycopg.OperationalError("the server is gone")),
    ProgrammingError("DROP TABLE x", {}, psycopg.errors.InsufficientPrivilege("the server is gone")),
    psycopg.InterfaceError("the server is gone"),
    sqlite3.OperationalError("the server is gone"),
    StoreUnavailable("the server is gone"),
    Busy("the server is gone"),
]


@pytest.mark.parametrize("fault", PRUNING_FAULTS, ids=lambda fault: type(fault).__name__)
def test_lists_are_published_though_old_ones_cannot_be_pruned(store, monkeypatch, caplog, fault):
    monkeypatch.setattr(publishing, "prune", Mock(side_effect=fault))
    assert store.publish(candidate(), [lists()]).switched
    assert "not pruned now" in caplog.text
    assert "the server is gone" in caplog.text
    assert "DROP TABLE" not in caplog.text


def test_a_server_that_cuts_off_pruning_does_not_fail_the_publish(store, monkeypatch):
    if not is_postgresql(store.engine):
        pytest.skip("SQLite has no server")

    def cut_off(engine, _keep):
        with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'recsys'"
            )

    monkeypatch.setattr(publishing, "prune", cut_off)
    assert store.publish(candidate(), [lists()]).switched
    monkeypatch.undo()
    assert store.publish(candidate(TUESDAY), [lists()]).switched


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (lists(users=()), "no lists"),
        (lists(items=("tea", "tea", "rye")), "repeat an item"),
        (lists(items=("tea", "milk", "ghost")), "catalogue"),
        (lists(items=("tea", "milk")), "shorter than top_k"),
        (lists(users=("ann",)), "3 rows against 6"),
    ],
)
def test_refused_lists_leave_the_live_ones(store, frame, why):
    store.publish(candidate(), [lists()])
    known = pl.Series(["tea", "milk", "rye"])
    with pytest.raises(PublishRefused, match=why) as refused:
        store.publish(candidate(TUESDAY), [frame], known_items=known)
    assert "\n" not in str(refused.value)
    assert store.live().night == MONDAY
    assert [(g.night, g.state) for g in store.generations()] == [(MONDAY, "ready"), (TUESDAY, "refused")]
    assert why in store.generations()[-1].why
    assert re.search(r"run the night again|store\.max_", str(refused.value)), "it must say how to go on"


def test_a_shop_that_expects_to_shrink_says_so(store):
    store.publish(candidate(), [lists()])
    assert store.publish(candidate(TUESDAY), [lists(users=("ann",))], StoreSettings(max_shrink=0.5)).switched


def test_going_live_promotes_the_night_s_decision(store):
    store.record_decision(MONDAY, True, {"towers": "t"}, {}, {}, "better")
    generation = store.publish(candidate(), [lists()]).generation
    assert store.decision(MONDAY).generation_id == generation.id


def test_a_second_publisher_waits_or_says_so(store, monkeypatch):
    if not is_postgresql(store.engine):
        pytest.skip("SQLite's own write lock: see test_connect")
    monkeypatch.setattr(publishing, "WAIT_SECONDS", 0.0)
    with alone(store.engine), pytest.raises(Busy, match="another run is publishing"):
        store.publish(candidate(), [lists()])
    # Two loads at once would give their new items the same codes: the later one would fail.
    with alone(store.engine), pytest.raises(Busy, match="another run is publishing"):
        store.load_generation(candidate(), [lists()])
    assert store.publish(candidate(), [lists()]).switched


def test_two_publishers_at_once_both_finish_one_after_the_other(store):
    runs = [
        threading.Thread(target=store.publish, args=(candidate(run_id=run), [lists(items=items)]))
        for run, items in (("a", ("tea", "milk", "rye")), ("b", OTHER))
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    rows = store.user_list("ann")
    assert {row.run_id for row in rows} in ({"a"}, {"b"})
    assert [row.item_id for row in rows] == (list(OTHER) if rows[0].run_id == "b" else ["tea", "milk", "rye"])
    assert len(store.moves()) == 2


HANGING = """
import sys, time
from pathlib import Path
from recsys_tasks.store.store import open_store
from tests.store.builders import TUESDAY, candidate, lists

def shards():
    yield lists(users=[f"user {n}" for n in range(2000)])
    Path(sys.argv[2]).touch()
    time.sleep(60)

open_store(sys.argv[1], Path(".")).publish(candidate(TUESDAY), shards())
"""


def loading(database: str, marker: Path) -> subprocess.Popen[bytes]:
    """A process in the middle of loading lists."""
    process = subprocess.Popen(
        [sys.executable, "-c", HANGING, database, str(marker)], cwd=Path(__file__).parents[2]
    )
    while not marker.exists():
        assert process.poll() is None
        time.sleep(0.02)
    return process


def test_killed_while_loading_nothing_is_left_and_a_rerun_works(store, database, tmp_path):
    store.publish(candidate(), [lists()])
    process = loading(database, tmp_path / "half-way")
    process.kill()
    process.wait()
    assert live_items(store) == ["tea", "milk", "rye"]
    assert [g.night for g in store.generations()] == [MONDAY]
    assert store.publish(candidate(TUESDAY), [lists(items=OTHER)]).switched
    assert live_items(store) == list(OTHER)


def test_a_database_that_goes_away_while_loading_is_said_in_one_line(store):
    if not is_postgresql(store.engine):
        pytest.skip("SQLite has no server")

    def shards():
        yield lists(users=("ann",))
        with store.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                " AND application_name = 'recsys'"
            )
        yield lists(users=("bob",))

    with pytest.raises(StoreUnavailable, match="cannot be used"):
        store.publish(candidate(), shards())
    assert store.generations() == []
    assert store.publish(candidate(), [lists()]).switched


def test_a_signal_while_loading_frees_the_lock(store, database, tmp_path):
    process = loading(database, tmp_path / "half-way")
    os.kill(process.pid, signal.SIGTERM)
    process.wait()
    assert store.publish(candidate(), [lists()]).switched
