"""The disk fills up while something is written: one clear line, what was there is whole, a rerun finishes."""

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import numpy as np
import polars as pl
import pytest
from sqlalchemy import event

from recsys_tasks.errors import NoSpace, StoreUnavailable
from recsys_tasks.extract import quarantine
from recsys_tasks.files import enough_space
from recsys_tasks.lake.tables import Lake
from recsys_tasks.model.vector_cache import VectorCache
from recsys_tasks.schema import Rejects
from recsys_tasks.steps.ingest import run_range
from recsys_tasks.store.store import open_store
from recsys_tasks.workspace import Workspace
from tests.faults.disks import Quota, SmallDisk, small_disk
from tests.faults.work import DAY, KEEP_ONE, NIGHT, ZONE, candidate_of, events, fill_day, lists_of
from tests.steps.log_shop import make_log_shop, visits

SAYS_WHAT_TO_DO = "no space left for .*; what was there is whole; free some space, then run again"


@pytest.fixture(params=["tmpfs", "quota"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SmallDisk | Quota]:
    if request.param == "tmpfs":
        with small_disk(tmp_path / "disk") as mounted:
            yield mounted
    else:
        quota = Quota(tmp_path)
        yield quota
        quota.free()


def files(folder: Path) -> set[str]:
    """Everything there, without locks."""
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and "lock" not in path.name and path.name != "ballast"
    }


def noise(rows: int) -> pl.DataFrame:
    """What does not compress."""
    return pl.DataFrame({"n": np.random.default_rng(rows).random(rows)})


def make(workspace: Workspace, rows: int) -> None:
    with (
        enough_space(workspace.home),
        workspace.artefact("pairs", NIGHT, inputs={"rows": rows}, settings={}, rooms=()) as draft,
    ):
        noise(rows).write_parquet(draft.path / "pairs.parquet")


def test_an_artefact(disk):
    workspace = Workspace(disk.folder / "home")
    make(workspace, 10)
    before, lying = workspace.find("pairs", NIGHT), files(workspace.home)
    disk.fill(leave=100_000)
    with pytest.raises(NoSpace, match=SAYS_WHAT_TO_DO):
        make(workspace, 100_000)
    assert workspace.find("pairs", NIGHT) == before
    assert files(workspace.home) == lying
    disk.free()
    make(workspace, 100_000)
    assert pl.read_parquet(workspace.need("pairs", NIGHT).path / "pairs.parquet").height == 100_000
    assert pl.read_parquet(before.path / "pairs.parquet").height == 10


def long_day(lake: Lake) -> None:
    rows = [(uuid4().hex * 8, "mat", f"{DAY}T12:00:00") for _ in range(5_000)]
    with enough_space(lake.folder):
        lake.write_days(DAY, DAY, ZONE, events(*rows), {})


def test_a_day_of_the_lake(disk):
    lake = Lake(disk.folder / "lake")
    fill_day(lake, "tent")
    disk.fill(leave=200_000)
    with pytest.raises(NoSpace, match=SAYS_WHAT_TO_DO):
        long_day(lake)
    assert lake.events_between(NIGHT.start, NIGHT.shift(100).as_of)["item_id"].to_list() == ["tent"] * 3
    disk.free()
    long_day(lake)
    assert lake.day_record(DAY).rows == 5_000


def test_the_vector_cache(disk):
    cache = VectorCache(disk.folder / "cache")
    few, many = ["red tent"], [f"tent {number}" for number in range(2_000)]
    cache.add(few, np.ones((1, 64), np.float32))
    lying = files(disk.folder)
    vectors = np.random.default_rng(1).random((2_000, 64), np.float32)
    disk.fill(leave=100_000)
    with pytest.raises(NoSpace, match=SAYS_WHAT_TO_DO), enough_space(disk.folder):
        cache.add(many, vectors)
    assert files(disk.folder) == lying
    assert cache.lookup([*few, *many])[1].sum() == 1
    disk.free()
    cache.add(many, vectors)
    found, known = cache.lookup(many)
    assert known.all()
    assert np.array_equal(found, vectors)


def test_the_quarantine(disk):
    def refused(rows: int) -> pl.DataFrame:
        texts = [uuid4().hex for _ in range(rows)]
        return Rejects.cast(pl.DataFrame({"source": "events", "row": texts, "reason": "user_id|nullability"}))

    file = quarantine.write(disk.folder / "quarantine", "events", "monday", refused(1))
    disk.fill(leave=100_000)
    with pytest.raises(NoSpace, match=SAYS_WHAT_TO_DO), enough_space(disk.folder):
        quarantine.write(disk.folder / "quarantine", "events", "monday", refused(10_000))
    assert pl.read_parquet(file).height == 1
    assert os.listdir(file.parent) == ["monday.parquet"]
    disk.free()
    quarantine.write(disk.folder / "quarantine", "events", "monday", refused(10_000))
    assert pl.read_parquet(file).height == 10_000


def test_a_command_says_so(disk, monkeypatch):
    folder = disk.folder / "shop"
    folder.mkdir()
    shop = make_log_shop(folder, monkeypatch)
    shop.log(*visits(2))
    shop.products(("tent", "Tent"))
    run_range("2026-03-01", "2026-03-01", catalogue=False)
    disk.fill(leave=0)
    with pytest.raises(NoSpace, match=SAYS_WHAT_TO_DO):
        run_range("2026-03-01", "2026-03-02", catalogue=False)
    disk.free()
    assert run_range("2026-03-01", "2026-03-02", catalogue=False)["events"] == 4


def test_a_publish_into_sqlite(tmp_path):
    store = open_store(f"sqlite:///{tmp_path / 'serving.db'}", tmp_path)
    store.publish(candidate_of(0), [lists_of(0)])

    @event.listens_for(store.engine, "connect")
    def _allow_few_pages(connection, _record):
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 1}")

    many = pl.concat([lists_of(1).with_columns(user_id=pl.lit(f"user {n}")) for n in range(3000)]).unique(
        ["user_id", "item_id"]
    )
    with pytest.raises(
        StoreUnavailable, match=r"full; no lists are half-published.*has space, then run again"
    ):
        store.publish(candidate_of(1), [many])
    again = open_store(f"sqlite:///{tmp_path / 'serving.db'}", tmp_path)
    assert [row.item_id for row in again.user_list("ann")] == lists_of(0)["item_id"].to_list()[:3]
    assert len(again.generations()) == 1
    again.publish(candidate_of(1), [lists_of(1)], KEEP_ONE)
    assert [row.item_id for row in again.user_list("ann")] == lists_of(1)["item_id"].to_list()[:3]
