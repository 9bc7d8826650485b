import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recsys_tasks.errors import Busy
from recsys_tasks.files import locked
from recsys_tasks.lake import delta
from recsys_tasks.lake.tables import Lake
from tests.lake.builders import write_day

DAYS = [f"2026-03-{day:02d}" for day in range(1, 9)]


def write(folder: Path, day: str, item: str = "tent") -> None:
    write_day(Lake(folder), day, ("ann", item, f"{day}T17:00:00"))


def items_of(folder: Path) -> list[str]:
    return Lake(folder).snapshot(datetime(2027, 1, 1, tzinfo=UTC)).events["item_id"].to_list()


def test_threads_write_different_days_at_once(tmp_path):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, [tmp_path] * len(DAYS), DAYS))
    assert items_of(tmp_path) == ["tent"] * len(DAYS)
    assert len(Lake(tmp_path).days()) == len(DAYS)


@pytest.mark.slow
def test_processes_write_different_days_into_a_lake_that_does_not_exist_yet(tmp_path):
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(write, [tmp_path / "lake"] * len(DAYS), DAYS))
    assert items_of(tmp_path / "lake") == ["tent"] * len(DAYS)


def test_writers_of_one_day_take_turns_and_one_of_them_wins_whole(tmp_path):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, [tmp_path] * 6, [DAYS[0]] * 6, [f"item {n}" for n in range(6)]))
    assert len(items_of(tmp_path)) == 1


def test_a_day_somebody_else_keeps_is_busy(tmp_path, monkeypatch):
    monkeypatch.setattr(delta, "LOCK_PATIENCE_SECONDS", 0.0)
    with (
        locked(tmp_path / "locks" / f"events-{DAYS[0]}.lock", "a test"),
        pytest.raises(Busy, match=f"events of {DAYS[0]}"),
    ):
        write(tmp_path, DAYS[0])
    assert Lake(tmp_path).days() == []
