"""Processes that see different checkpoints go on from one and the same, or all end."""

import json
import os
import shutil
from dataclasses import dataclass

import pytest

from recsys_tasks.errors import TrainingFailed
from recsys_tasks.training.launch import launch
from recsys_tasks.training.processes import Processes
from tests.training import seeing
from tests.training.seeing import STEPS, descend, result_of, seen_by
from tests.training.trained import trained

DAMAGED = "process 1 of 2 (from 0) cannot read the checkpoint behind step 6"


class Broken(Exception):
    """The descent stops here."""


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The checkpoints behind 3 and 6 steps."""

    def stop(step):
        if step == 7:
            raise Broken

    folder = tmp_path_factory.mktemp("kept")
    with pytest.raises(Broken):
        descend(folder, Processes(), stop)
    return folder


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    return descend(tmp_path_factory.mktemp("unbroken"), Processes())["weight"]


def show(kept, folder, behind, damaged=None):
    """Put the checkpoints behind these steps where a process sees them, one of them cut short."""
    folder.mkdir()
    for done in behind:
        target = folder / f"step-{done:09d}.safetensors"
        shutil.copyfile(kept / target.name, target)
        if done == damaged:
            os.truncate(target, target.stat().st_size - 1)


@dataclass(frozen=True)
class OneOfTwo(Processes):
    """One of two processes; ``said`` is what the first one goes on from, ``able`` who can read it."""

    world: int = 2
    said: int = 0
    able: tuple[int, ...] = (1, 1)

    def told(self, number: int) -> int:
        return self.said if self.rank else number

    def gathered(self, number: int) -> list[int]:
        return [number if rank == self.rank else able for rank, able in enumerate(self.able)]

    def average(self, parameters):
        """The other one's gradients are the same."""


@pytest.mark.parametrize(("behind", "said"), [((3, 6), 3), ((3, 6), 6), ((3, 6), 0), ((), 0)])
def test_a_process_goes_on_from_what_the_first_one_chose(tmp_path, kept, unbroken, behind, said):
    show(kept, tmp_path / "own", behind)
    found = descend(tmp_path / "own", OneOfTwo(rank=1, said=said))
    assert found == {"steps": list(range(said, STEPS)), "weight": unbroken}


@pytest.mark.parametrize(
    ("why", "behind", "damaged"), [("cut short", (3, 6), 6), ("not there", (3,), None)], ids=str
)
def test_a_process_that_cannot_read_what_was_chosen_fails(tmp_path, kept, why, behind, damaged):
    show(kept, tmp_path / "own", behind, damaged)
    with pytest.raises(TrainingFailed, match="process 1 of 2") as failed:
        descend(tmp_path / "own", OneOfTwo(rank=1, said=6))
    assert DAMAGED in str(failed.value)


def test_the_first_process_fails_with_it(tmp_path, kept):
    show(kept, tmp_path / "own", (3, 6))
    with pytest.raises(TrainingFailed, match="process 1 of 2") as failed:
        descend(tmp_path / "own", OneOfTwo(rank=0, able=(1, 0)))
    assert DAMAGED in str(failed.value)


def test_a_process_never_goes_on_from_another_training_s_checkpoint(tmp_path, kept, monkeypatch):
    show(kept, tmp_path / "own", (3, 6))
    checkpoints = seeing.Checkpoints
    monkeypatch.setattr(seeing, "Checkpoints", lambda folder, _, every: checkpoints(folder, "that", every))
    with pytest.raises(TrainingFailed, match="cannot read"):
        descend(tmp_path / "own", OneOfTwo(rank=1, said=6))


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), [((3,), (3, 6)), ((), (3,))], ids=str)
def test_two_processes_end_alike_where_one_sees_a_newer_file(tmp_path, kept, unbroken, first, second):
    for rank, behind in enumerate((first, second)):
        show(kept, seen_by(tmp_path, rank), behind)
    trained(seeing, tmp_path, 2)
    expected = {"steps": list(range(max(first, default=0), STEPS)), "weight": unbroken}
    assert [json.loads(result_of(tmp_path, rank).read_text()) for rank in (0, 1)] == [expected] * 2


@pytest.mark.slow
def test_two_processes_both_end_where_one_sees_a_file_cut_short(tmp_path, kept):
    for rank, damaged in enumerate((None, 6)):
        show(kept, seen_by(tmp_path, rank), (3, 6), damaged)
    with pytest.raises(TrainingFailed) as failed:
        launch(seeing.__name__, tmp_path, 2)
    assert DAMAGED in str(failed.value)
    assert not any(result_of(tmp_path, rank).exists() for rank in (0, 1))
