import json
import logging
import os
import sys
import threading
import types

import pytest

from recsys_tasks import files
from recsys_tasks.errors import Busy, MissingArtefact, NightOutOfRange, SettingsError
from recsys_tasks.files import locked
from recsys_tasks.steps.job import Options
from recsys_tasks.steps.runner import night_alone, run_step
from recsys_tasks.workspace import Workspace
from tests.shop import make_shop


@pytest.fixture
def shop(tmp_path, monkeypatch):
    made = make_shop(tmp_path / "shop", encoder=tmp_path, shoppers=5, days=10)
    monkeypatch.setenv("RECSYS_SHOP", str(made.file))
    return made


@pytest.fixture
def step(monkeypatch):
    """Stand in for steps/build_pairs.py; the list collects the jobs it was handed."""
    jobs = []
    module = types.ModuleType("recsys_tasks.steps.build_pairs")
    module.run = lambda job: jobs.append(job) or {"pairs": 7}
    monkeypatch.setitem(sys.modules, "recsys_tasks.steps.build_pairs", module)
    return jobs


def test_a_step_leaves_a_record_with_its_cost(shop, step):
    facts = run_step("build_pairs", shop.night())
    record = json.loads((shop.folder / "home/records" / shop.night() / "build_pairs.json").read_text())
    assert record == facts
    assert record["pairs"] == 7
    assert {"seconds", "peak_mb", "step"} <= record.keys()
    assert record["run_id"] == "by-hand"


def test_a_step_before_from_step_is_used_as_it_is(shop, step):
    run_step("build_pairs", shop.night())
    again = run_step("build_pairs", shop.night(), Options(from_step="publish"))
    assert (again["pairs"], len(step)) == (7, 1)


@pytest.mark.parametrize("looks", ["measure", "report"])
def test_to_look_at_a_night_that_was_never_made_leaves_no_trace(shop, looks):
    before = sorted(shop.folder.rglob("*"))
    with pytest.raises(MissingArtefact, match=f"night {shop.night()} was never made.* nothing to {looks}"):
        run_step(looks, shop.night())
    assert sorted(shop.folder.rglob("*")) == before


def test_from_step_needs_what_earlier_steps_made(shop, step):
    with pytest.raises(MissingArtefact, match="build_pairs has never run"):
        run_step("build_pairs", shop.night(), Options(from_step="publish"))


def test_a_step_of_a_night_that_somebody_works_on_is_refused(shop, step):
    lock = Workspace(shop.folder / "home").home / "records" / shop.night() / ".night.lock"
    with locked(lock, "test"), pytest.raises(Busy, match=f"works on night {shop.night()}"):
        run_step("build_pairs", shop.night())
    assert step == []


def test_who_keeps_a_night_runs_its_steps_and_nobody_else_does(shop, step):
    with night_alone(shop.night()):
        run_step("build_pairs", shop.night(), alone=True)
        with pytest.raises(Busy, match=f"works on night {shop.night()}"):
            run_step("extract_events", shop.night())
        with pytest.raises(Busy, match=f"works on night {shop.night()}"), night_alone(shop.night()):
            pass
    run_step("build_pairs", shop.night())
    assert len(step) == 2


def test_another_night_is_not_waited_for(shop, step):
    with night_alone(shop.night()):
        run_step("build_pairs", shop.night(1))
    assert len(step) == 1


def test_a_step_that_found_its_artefact_remembers_what_making_it_cost(shop, step, monkeypatch):
    module = sys.modules["recsys_tasks.steps.build_pairs"]
    record = shop.folder / "home/records" / shop.night() / "build_pairs.json"
    monkeypatch.setattr(module, "run", lambda job: {"artefact": "pairs/x/1", "reused": False})
    run_step("build_pairs", shop.night())
    record.write_text(json.dumps({**json.loads(record.read_text()), "made_seconds": 60.0}))
    monkeypatch.setattr(module, "run", lambda job: {"artefact": "pairs/x/1", "reused": True})
    for _ in range(2):
        assert run_step("build_pairs", shop.night())["made_seconds"] == 60.0
    monkeypatch.setattr(module, "run", lambda job: {"artefact": "pairs/x/2", "reused": False})
    assert run_step("build_pairs", shop.night())["made_seconds"] < 60.0


@pytest.fixture
def training(monkeypatch):
    """Stand in for a step that makes an artefact and takes until ``release`` is set."""
    release, entered = threading.Event(), threading.Event()
    made = []

    def run(job):
        with job.workspace.artefact("pairs", job.night, inputs={}, settings={}, rooms=()) as draft:
            entered.set()
            assert release.wait(30)
            made.append(draft.is_new)
        return {"reused": not draft.is_new}

    module = types.ModuleType("recsys_tasks.steps.build_pairs")
    module.run = run
    monkeypatch.setitem(sys.modules, "recsys_tasks.steps.build_pairs", module)
    monkeypatch.setattr(files, "LOOK_SECONDS", 0.01)
    return types.SimpleNamespace(release=release, entered=entered, made=made)


def test_a_retry_waits_for_the_task_that_lived_on_and_uses_what_it_made(shop, training, caplog):
    # The command line, tried by other tests, sets a level of its own.
    caplog.set_level(logging.INFO, logger="recsys_tasks")
    lived_on = threading.Thread(target=run_step, args=("build_pairs", shop.night()))
    lived_on.start()
    assert training.entered.wait(30)
    # The first goes on once the second is seen to wait, however slow the machine is.
    said = logging.Handler()
    said.emit = lambda record: training.release.set() if "waiting for" in record.getMessage() else None
    files.log.addHandler(said)
    retried = run_step("build_pairs", shop.night(), wait_seconds=30)
    files.log.removeHandler(said)
    lived_on.join()
    assert training.made == [True, False]
    assert retried["reused"]
    waiting = [line for line in caplog.messages if line.startswith("waiting for")]
    assert waiting == [
        f"waiting for another process that works on night {shop.night()} "
        f"(process {os.getpid()} on {os.uname().nodename})"
    ]


def test_a_retry_does_not_wait_for_ever(shop, training):
    lived_on = threading.Thread(target=run_step, args=("build_pairs", shop.night()))
    lived_on.start()
    assert training.entered.wait(30)
    with pytest.raises(Busy, match=f"process {os.getpid()}"):
        run_step("build_pairs", shop.night(), wait_seconds=0.1)
    training.release.set()
    lived_on.join()
    assert training.made == [True]


@pytest.mark.parametrize("night", ["2999-01-01", "yesterday", "2026-02-30", ""])
def test_a_night_that_cannot_be_is_refused(shop, step, night):
    with pytest.raises(NightOutOfRange):
        run_step("build_pairs", night)
    assert step == []


@pytest.mark.parametrize("wrong", [{"from_step": "train"}, {"top_k": 0}, {"top_k": 501}])
def test_an_impossible_option_is_refused(wrong):
    with pytest.raises(SettingsError):
        Options(**wrong)
