"""Ten runs of a backfill at once, on different days and on the same: the lake one run after the other would make."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from recsys_tasks.settings import load_settings
from recsys_tasks.steps.ingest import run_range
from tests.faults.children import FORKS
from tests.faults.file_shop import MONDAY, FileShop, file_shop, rows_of
from tests.faults.work import ingest

DAYS = [MONDAY + timedelta(days=shift) for shift in range(6)]


def shop_of_days(folder: Path, monkeypatch: pytest.MonkeyPatch) -> FileShop:
    folder.mkdir()
    shop = file_shop(folder, monkeypatch, "parquet")
    for place, day in enumerate(DAYS):
        shop.write(day, rows_of(day).head(30 + place))
    return shop


def everything(shop: FileShop) -> tuple[object, ...]:
    nights = [load_settings().night(day.isoformat()) for day in DAYS]
    return (
        {day: shop.lake.day_record(day) for day in shop.lake.days()},
        [shop.lake.state(night) for night in nights],
        shop.lake.events_between(nights[0].start, nights[-1].as_of).rows(),
    )


@pytest.mark.slow
def test_ten_runs_at_once_make_the_same_lake(tmp_path, monkeypatch):
    one_by_one = shop_of_days(tmp_path / "one", monkeypatch)
    for day in DAYS:
        run_range(day.isoformat(), day.isoformat())
    expected = everything(one_by_one)
    at_once = shop_of_days(tmp_path / "ten", monkeypatch)
    single = [(day, day) for day in DAYS[:5]]
    ranges = [
        *single,
        (DAYS[0], DAYS[0]),
        (DAYS[0], DAYS[3]),
        (DAYS[2], DAYS[5]),
        (DAYS[5], DAYS[5]),
        (DAYS[0], DAYS[5]),
    ]
    runs = [
        FORKS.Process(target=ingest, args=(os.environ["RECSYS_SHOP"], first.isoformat(), last.isoformat()))
        for first, last in ranges
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert [run.exitcode for run in runs] == [0] * 10
    assert everything(at_once)[0] == expected[0]
    assert everything(at_once)[2] == expected[2]
    assert [state["events"] for state in everything(at_once)[1]] == [state["events"] for state in expected[1]]
    assert everything(at_once)[1][-1] == expected[1][-1], "the catalogue too, as of the newest night"
