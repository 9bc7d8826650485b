"""kill -9 before every change an artefact or a day of the lake makes on the disk, and inside the writing of a file."""

import random
import signal
import time
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from recsys_tasks.calendar import Night
from recsys_tasks.errors import MissingArtefact
from recsys_tasks.lake.records import content_hash
from recsys_tasks.lake.tables import Lake
from recsys_tasks.steps.ingest import run_range
from recsys_tasks.workspace import Artefact, Workspace
from tests.faults import work
from tests.faults.children import FORKS, KILLED, ended, killed_everywhere
from tests.faults.work import DAY, NIGHT, ZONE, fill, fill_day
from tests.steps.log_shop import make_log_shop

AS_OF = Night(DAY, ZONE).as_of


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "home")


def found(workspace: Workspace) -> Artefact | None:
    """What readers find, which must be whole."""
    artefact = workspace.find("pairs", NIGHT)
    if artefact is not None:
        text = artefact.manifest["inputs"]["text"]
        assert {name: (artefact.path / name).read_text() for name in ("one", "two")} == {
            "one": text,
            "two": text,
        }
        assert artefact.metrics == {"letters": len(text)}
    return artefact


def make(workspace: Workspace, text: str) -> None:
    with workspace.artefact("pairs", NIGHT, inputs={"text": text}, settings={}, rooms=()) as draft:
        if draft.is_new:
            fill(draft, text)


def test_killed_before_any_change_an_artefact_makes(workspace, tmp_path):
    make(workspace, "t" * 5)
    points = []
    for number, note in killed_everywhere(tmp_path):
        before, tonight = found(workspace), "t" * (5 + number)
        code = ended(work.make_artefact, number, note, workspace.home, tonight)
        seen = found(workspace)
        assert seen == before or seen.metrics == {"letters": len(tonight)}
        make(workspace, tonight)
        assert found(workspace).metrics == {"letters": len(tonight)}
        assert workspace.at(before.ref) == before, "nothing that was made is lost"
        if code == 0:
            break
        assert code == KILLED
        points.append(note.read_text())
    for stage in ("before the files", "open two", "before the manifest", ".partial", "current"):
        assert any(stage in point for point in points), f"never killed at {stage}"
    folders = [path.name for path in (workspace.artefacts / "pairs" / str(NIGHT)).iterdir() if path.is_dir()]
    assert not [name for name in folders if name.endswith(".partial")]


@pytest.mark.parametrize("most_bytes", [1, 1000, 100_000])
def test_killed_in_the_middle_of_a_file(workspace, most_bytes):
    code = ended(work.die_in_the_middle_of_a_write, workspace.home, most_bytes)
    assert code == -signal.SIGXFSZ
    assert workspace.find("pairs", NIGHT) is None
    with pytest.raises(MissingArtefact, match="run the step build_pairs first"):
        workspace.need("pairs", NIGHT)
    with workspace.artefact("pairs", NIGHT, inputs={}, settings={}, rooms=()) as draft:
        assert draft.is_new
        assert list(draft.path.iterdir()) == []


def taken(lake: Lake) -> set[str]:
    """The items of the day, which every shopper must have taken."""
    log = _log(lake)
    assert log.height in (0, len(work.USERS))
    return set(log["item_id"])


def _log(lake: Lake) -> pl.DataFrame:
    return lake.events_between(Night(DAY, ZONE).start, AS_OF)


def test_killed_before_any_change_a_day_of_the_lake_makes(tmp_path):
    lake = Lake(tmp_path / "lake")
    for number, note in killed_everywhere(tmp_path):
        before, tonight = taken(lake), f"item {number}"
        code = ended(work.write_day, number, note, lake.folder, tonight)
        seen = taken(lake)
        assert seen in (before, {tonight})
        record = lake.day_record(DAY)
        assert (record is None) == (not seen)
        if record is not None:
            assert record.fingerprint == content_hash(_log(lake)), f"killed at {note.read_text()}"
        assert lake.state(Night(DAY, ZONE))
        fill_day(lake, tonight)
        assert taken(lake) == {tonight}
        assert lake.day_record(DAY).rows == len(work.USERS)
        assert lake.state(Night(DAY, ZONE))
        if code == 0:
            break
        assert code == KILLED


def test_a_day_whose_writer_was_killed_is_kept_though_its_source_forgets_it(tmp_path, monkeypatch):
    """Before any change of an ingest: the next one finds no row of the day, and must not take that for an empty day."""
    shop = make_log_shop(tmp_path, monkeypatch, time_zone=str(ZONE))
    yaml, lake = str(tmp_path / "shop.yaml"), Lake(shop.lake)
    shop.log(*((user, "the first", f"{DAY} 12:00:00") for user in work.USERS))
    run_range(str(DAY), str(DAY), catalogue=False)
    stages = []
    for number, note in killed_everywhere(tmp_path):
        before, tonight = taken(lake), f"item {number}"
        shop.forget("log")
        shop.log(*((user, tonight, f"{DAY} 12:00:00") for user in work.USERS))
        code = ended(work.ingest_days, number, note, yaml, str(DAY))
        left = taken(lake)
        assert left in (before, {tonight})
        shop.forget("log")
        run_range(str(DAY), str(DAY), catalogue=False)
        assert taken(lake) == left, f"killed at {note.read_text()}"
        assert lake.day_record(DAY).fingerprint == content_hash(_log(lake))
        if code == 0:
            break
        assert code == KILLED
        stages.append(note.read_text())
    assert f"open .{DAY}.json" in " ".join(stages), "never killed between the commit and the record"


def texts(lake: Lake) -> set[str]:
    return set(lake.catalogue(AS_OF)["text"])


def test_killed_before_any_change_a_catalogue_makes(tmp_path):
    lake = Lake(tmp_path / "lake")
    for number, note in killed_everywhere(tmp_path):
        before, tonight = texts(lake), f"text {number}"
        code = ended(work.write_items, number, note, lake.folder, tonight)
        assert texts(lake) in (before, {tonight})
        assert lake.catalogue(AS_OF).height in (0, 2)
        assert ended(work.write_items, 0, note, lake.folder, tonight) == 0
        assert texts(lake) == {tonight}
        if code == 0:
            break
        assert code == KILLED


def test_killed_at_any_moment_of_a_commit(tmp_path):
    lake, ready = Lake(tmp_path / "lake"), tmp_path / "ready"
    moments = random.Random(7)
    for _ in range(6):
        ready.unlink(missing_ok=True)
        process = FORKS.Process(target=work.write_days_forever, args=(lake.folder, ready))
        process.start()
        while not ready.exists():
            time.sleep(0.005)
        time.sleep(moments.random() / 10)
        process.kill()
        process.join()
        assert len(taken(lake)) == 1
        fill_day(lake, "the rerun's")
        assert taken(lake) == {"the rerun's"}


def test_other_days_stay_while_one_is_killed(tmp_path):
    lake = Lake(tmp_path / "lake")
    days: list[date] = [DAY - timedelta(days=shift) for shift in (1, 2)]
    for day in days:
        fill_day(lake, f"of {day}", day)
    before = {day: lake.day_record(day) for day in days}
    for point in (3, 5, 7, 9):
        ended(work.write_day, point, tmp_path / "note", lake.folder, "tonight's")
    log = lake.events_between(Night(days[-1], ZONE).start, Night(DAY, ZONE).start)
    assert log.group_by("item_id").len().sort("item_id")["len"].to_list() == [3, 3]
    assert {day: lake.day_record(day) for day in days} == before
    assert pl.Series(lake.days()).is_in([*days, DAY]).all()
