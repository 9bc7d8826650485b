import json
import multiprocessing
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pytest

from recsys_tasks import workspace as workspace_module
from recsys_tasks.calendar import Night
from recsys_tasks.errors import Busy, MissingArtefact
from recsys_tasks.files import locked
from recsys_tasks.settings import PairSettings
from recsys_tasks.workspace import Workspace, code_version, fingerprint_of

NIGHT = Night(date(2026, 1, 5))


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path)


def make(workspace, name="pairs", night=NIGHT, *, text="tents", fail=False, **changed):
    """Make an artefact of one file; returns the artefact and whether it was written."""
    chosen = {
        "inputs": {"events": "e1"},
        "rooms": ("errors",),
        "seed": 1,
        "settings": PairSettings(),
        **changed,
    }
    with workspace.artefact(name, night, **chosen) as draft:
        if draft.is_new:
            (draft.path / "content.txt").write_text(text)
            draft.metrics["rows"] = len(text)
            if fail:
                raise RuntimeError("the step broke")
    return draft.artefact, draft.is_new


def folders(workspace, name="pairs", night=NIGHT):
    home = workspace.artefacts / name / str(night)
    return sorted(path.name for path in home.iterdir() if path.is_dir())


def test_the_same_makings_are_found_again(workspace):
    first, is_new = make(workspace)
    again, is_new_again = make(workspace, text="other")
    assert (is_new, is_new_again) == (True, False)
    assert again == first
    assert (again.path / "content.txt").read_text() == "tents"
    assert again.metrics == {"rows": 5}


@pytest.mark.parametrize(
    "changed",
    [
        {"settings": PairSettings(max_pairs=9)},
        {"inputs": {"events": "e2"}},
        {"seed": 2},
        {"rooms": ("errors", "calendar")},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_other_makings_give_a_sibling_and_overwrite_nothing(workspace, changed):
    first, _ = make(workspace)
    second, is_new = make(workspace, text="bags", **changed)
    assert is_new
    assert folders(workspace) == sorted([first.fingerprint, second.fingerprint])
    assert (first.path / "content.txt").read_text() == "tents"


def test_what_is_only_recorded_makes_no_sibling(workspace):
    first, _ = make(workspace, recorded={"events": 3})
    again, is_new = make(workspace, recorded={"events": 4})
    assert not is_new
    assert again.manifest["recorded"] == {"events": 3}
    assert first.fingerprint == again.fingerprint


def test_other_nights_zones_and_names_do_not_share_a_fingerprint(workspace):
    nights = [NIGHT, NIGHT.shift(1)]
    made = {make(workspace, name, night)[0].fingerprint for name in ("pairs", "towers") for night in nights}
    assert len(made) == 4


def test_changed_code_makes_a_sibling(workspace, tmp_path, monkeypatch):
    package = tmp_path / "package"
    (package / "pairs").mkdir(parents=True)
    monkeypatch.setattr(workspace_module, "PACKAGE", package)
    versions = []
    for text in ("a = 1", "a = 2"):
        (package / "pairs" / "positives.py").write_text(text)
        versions.append(code_version("pairs"))
        make(workspace, rooms=("pairs",))
    assert versions[0] != versions[1]
    assert len(folders(workspace)) == 2


def test_the_manifest_tells_how_it_was_made(workspace):
    artefact, _ = make(workspace, recorded={"events": 3})
    manifest = json.loads((artefact.path / "manifest.json").read_text())
    assert manifest["night"] == "2026-01-05"
    assert manifest["as_of"] == "2026-01-06T00:00:00+00:00"
    assert manifest["inputs"] == {"events": "e1"}
    assert manifest["settings"]["max_pairs"] == PairSettings().max_pairs
    assert (manifest["seed"], manifest["fingerprint"]) == (1, artefact.fingerprint)
    assert manifest["code"].keys() == {"errors"}


def test_an_error_leaves_nothing(workspace):
    with pytest.raises(RuntimeError):
        make(workspace, fail=True)
    assert folders(workspace) == []
    assert workspace.find("pairs", NIGHT) is None
    assert make(workspace)[1]


def test_an_error_leaves_an_earlier_sibling_current(workspace):
    first, _ = make(workspace)
    with pytest.raises(RuntimeError):
        make(workspace, seed=2, fail=True)
    assert workspace.find("pairs", NIGHT) == first


def test_a_folder_without_a_manifest_does_not_exist(workspace):
    artefact, _ = make(workspace)
    (artefact.path / "manifest.json").unlink()
    assert workspace.find("pairs", NIGHT) is None
    with pytest.raises(MissingArtefact):
        workspace.at(artefact.ref)
    again, is_new = make(workspace, text="whole")
    assert is_new
    assert (again.path / "content.txt").read_text() == "whole"


KILLED = """
import os, signal, sys
from datetime import date
from pathlib import Path
from recsys_tasks.calendar import Night
from recsys_tasks.workspace import Workspace
with Workspace(Path(sys.argv[1])).artefact(
    "pairs", Night(date(2026, 1, 5)), inputs={}, settings={}, rooms=("errors",)
) as draft:
    (draft.path / "half.txt").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_between_two_writes_leaves_nothing_that_counts(workspace):
    ended = subprocess.run([sys.executable, "-c", KILLED, str(workspace.home)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert workspace.find("pairs", NIGHT) is None
    artefact, is_new = make(workspace, inputs={}, settings={}, seed=0)
    assert is_new
    assert not (artefact.path / "half.txt").exists()
    assert folders(workspace) == [artefact.fingerprint]


def hold(path: Path, ready: Path) -> None:
    with locked(path, "pairs of night 2026-01-05"):
        ready.touch()
        time.sleep(60)


@pytest.fixture
def other_process(workspace, tmp_path):
    """Another process that makes the night's pairs."""
    context = multiprocessing.get_context("spawn")
    ready = tmp_path / "ready"
    home = workspace.artefacts / "pairs" / str(NIGHT)
    process = context.Process(target=hold, args=(home / ".lock", ready))
    process.start()
    while not ready.exists():
        time.sleep(0.02)
    yield process
    process.kill()
    process.join()


def test_two_processes_never_make_one_artefact(workspace, other_process):
    with pytest.raises(Busy, match="another process works on pairs of night 2026-01-05"):
        make(workspace)
    assert make(workspace, "towers")[1], "other artefacts are free"
    other_process.kill()
    other_process.join()
    assert make(workspace)[1], "the kernel frees the lock of a dead process"


def test_current_follows_the_latest_run_also_back_to_an_older_sibling(workspace):
    first, _ = make(workspace)
    second, _ = make(workspace, seed=2)
    assert workspace.find("pairs", NIGHT) == second
    make(workspace)
    assert workspace.find("pairs", NIGHT) == first
    assert workspace.at(second.ref) == second


def test_a_missing_artefact_is_named_with_its_night(workspace):
    with pytest.raises(MissingArtefact, match="night 2026-01-05 has no pairs yet"):
        workspace.need("pairs", NIGHT)


def test_newest_before_is_strictly_earlier(workspace):
    assert workspace.newest_before("towers", NIGHT) is None
    older, _ = make(workspace, "towers", NIGHT.shift(-3))
    newer, _ = make(workspace, "towers", NIGHT.shift(-1))
    make(workspace, "towers", NIGHT)
    make(workspace, "towers", NIGHT.shift(1))
    assert workspace.newest_before("towers", NIGHT) == newer
    (newer.path / "manifest.json").unlink()
    assert workspace.newest_before("towers", NIGHT) == older


def test_a_fingerprint_does_not_depend_on_the_order_of_keys():
    assert fingerprint_of({"a": 1, "b": [1, 2]}) == fingerprint_of({"b": [1, 2], "a": 1})
    assert fingerprint_of({"a": [1, 2]}) != fingerprint_of({"a": [2, 1]})
    assert len(fingerprint_of({})) == 16
