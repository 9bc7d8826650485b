"""A clock that jumps while nights are made, and sources that do not answer in time."""

import os
import sqlite3
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from recsys_tasks.errors import NightOutOfRange, SourceError
from recsys_tasks.settings import load_settings
from recsys_tasks.steps import extract_events, extract_items, job
from recsys_tasks.steps import ingest as ingesting
from recsys_tasks.steps.job import Job, open_job
from recsys_tasks.store import load, pointer
from recsys_tasks.workspace import Workspace
from tests.faults.file_shop import MONDAY, TUESDAY, file_shop, rows_of
from tests.faults.test_killed_files import make
from tests.faults.work import KEEP_ONE, NIGHT, candidate_of, lists_of
from tests.steps.log_shop import SECTIONS, make_log_shop, visits


def clock(at: datetime) -> type[datetime]:
    """A ``datetime`` whose clock stands still."""

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return at.astimezone(tz)

    return Stopped


def set_clock(monkeypatch: pytest.MonkeyPatch, at: datetime, *modules: Any) -> None:
    for module in modules:
        monkeypatch.setattr(module, "datetime", clock(at))


def test_what_is_live_follows_the_order_of_publishing_not_the_clock(store, monkeypatch):
    years = (2026, 2031, 2019, 2024)
    for number, year in enumerate(years):
        set_clock(monkeypatch, datetime(year, 5, 1, tzinfo=UTC), load, pointer)
        assert store.publish(candidate_of(number), [lists_of(number)]).switched
    assert [move.moved_at.year for move in store.moves()] == list(years)
    assert store.rollback(why="for a test", who="test").night == candidate_of(2).night
    store.publish(candidate_of(4), [lists_of(4)], KEEP_ONE)
    standing = [g.night for g in store.generations() if g.state == "ready" and g.rolled_back_at is None]
    assert standing == [candidate_of(4).night]
    assert store.user_list("ann")[0].item_id == f"tea of {candidate_of(4).night}"


def test_artefacts_are_found_whatever_the_clock_says_of_their_files(tmp_path):
    workspace = Workspace(tmp_path)
    make(workspace, "first")
    make(workspace, "second")
    second = workspace.need("pairs", NIGHT)
    for file in tmp_path.rglob("*"):
        os.utime(file, (4e9, 4e9) if "second" not in str(file) else (1, 1))
    assert workspace.find("pairs", NIGHT) == second
    make(workspace, "first")
    assert workspace.find("pairs", NIGHT).manifest["inputs"] == {"text": "first"}


def test_a_lake_whose_files_come_from_the_future_is_read_and_written(tmp_path, monkeypatch):
    shop = file_shop(tmp_path, monkeypatch, "parquet")
    for file in shop.lake.folder.rglob("*"):
        os.utime(file, (4e9, 4e9))
    shop.write(TUESDAY, rows_of(TUESDAY))
    shop.extract(TUESDAY)
    assert shop.seen() == ([MONDAY, TUESDAY], 80)


def test_a_clock_that_is_behind_stops_the_night_before_anything_is_read(tmp_path, monkeypatch):
    shop = file_shop(tmp_path, monkeypatch, "parquet")
    shop.write(TUESDAY, rows_of(TUESDAY))
    with monkeypatch.context() as patch:
        set_clock(patch, datetime(2026, 3, 3, 23, 59, tzinfo=UTC), job, ingesting)
        with pytest.raises(
            NightOutOfRange, match="night 2026-03-03 has not ended: it ends at 2026-03-04 00:00 UTC"
        ):
            open_job("2026-03-03")
        with pytest.raises(NightOutOfRange, match="has not ended"):
            ingesting.run_range("2026-03-03", "2026-03-03")
    assert shop.seen() == ([MONDAY], 40)
    shop.extract(TUESDAY)
    assert shop.seen() == ([MONDAY, TUESDAY], 80)


@pytest.mark.parametrize("jump", [timedelta(days=-400), timedelta(days=400)])
def test_a_catalogue_read_under_a_wrong_clock_takes_nothing_back(tmp_path, monkeypatch, jump):
    file_shop(tmp_path, monkeypatch, "parquet")
    settings = load_settings()
    night = Job(settings, settings.night(MONDAY.isoformat()))
    set_clock(monkeypatch, night.night.as_of + timedelta(hours=1), ingesting)
    extract_items.run(night)
    before = night.lake.catalogue(night.night.as_of).rows()
    set_clock(monkeypatch, night.night.as_of + jump, ingesting)
    extract_items.run(night)
    assert night.lake.catalogue(night.night.as_of).rows() == before
    assert before[0][-1], "proven"


# Sources that do not answer in time


def pg_shop(folder: Path, monkeypatch: pytest.MonkeyPatch, url: str, slow: str, timeout: str) -> Any:
    """A log in PostgreSQL whose query can be made slow; ``timeout`` is the server's for every statement."""
    events = {
        **SECTIONS["sources"]["events"],
        "url": "SHOP_LOG",
        "query": f"SELECT who, what, at FROM log WHERE at >= :start AND at < :end AND {slow}",
    }
    sources = {**SECTIONS["sources"], "events": events}
    (folder / "shop.db").unlink(missing_ok=True)
    shop = make_log_shop(folder, monkeypatch, sources=sources)
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS log (who text, what text, at timestamptz)")
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO log VALUES (%s, %s, %s)", visits(1))
    monkeypatch.setenv("SHOP_LOG", f"{url}%20-cstatement_timeout%3D{timeout}")
    return shop


SLEEPY = "pg_sleep(30) IS NOT NULL"


def test_a_query_that_times_out_is_said_and_the_rerun_goes_through(tmp_path, monkeypatch, fresh_postgres_url):
    shop = pg_shop(tmp_path, monkeypatch, fresh_postgres_url, SLEEPY, "200")
    with pytest.raises(SourceError, match=r"query 'SELECT who.*canceling statement due to statement timeout"):
        extract_events.run(shop.job("2026-03-01"))
    assert shop.job("2026-03-01").lake.days() == []
    shop = pg_shop(tmp_path, monkeypatch, fresh_postgres_url, "true", "20000")
    assert extract_events.run(shop.job("2026-03-01"))["events"] == 2


def test_a_source_that_is_cut_off_is_said_and_the_rerun_goes_through(
    tmp_path, monkeypatch, fresh_postgres_url
):
    shop = pg_shop(tmp_path, monkeypatch, fresh_postgres_url, SLEEPY, "20000")
    cutter = threading.Thread(target=_cut_off, args=(fresh_postgres_url,))
    cutter.start()
    with pytest.raises(SourceError, match=r"query 'SELECT who"):
        extract_events.run(shop.job("2026-03-01"))
    cutter.join()
    shop = pg_shop(tmp_path, monkeypatch, fresh_postgres_url, "true", "20000")
    assert extract_events.run(shop.job("2026-03-01"))["filtered"] == {"exact duplicate": 2}


def _cut_off(url: str) -> None:
    """End the connection that sleeps, once it does."""
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        for _ in range(200):
            if connection.execute(cut).fetchall():
                return
            time.sleep(0.05)


def test_a_locked_sqlite_source_is_said_and_the_rerun_goes_through(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path / 'shop.db'}?timeout=0.2"
    sources = {name: {**source, "url": url} for name, source in SECTIONS["sources"].items()}
    shop = make_log_shop(tmp_path, monkeypatch, sources=sources)
    shop.log(*visits(1))
    writer = sqlite3.connect(tmp_path / "shop.db", isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    with pytest.raises(SourceError, match="database is locked"):
        extract_events.run(shop.job("2026-03-01"))
    assert shop.job("2026-03-01").lake.days() == []
    writer.execute("ROLLBACK")
    writer.close()
    assert extract_events.run(shop.job("2026-03-01"))["events"] == 2
