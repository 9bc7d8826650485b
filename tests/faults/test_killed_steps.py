"""kill -9 while each step of a night makes its artefact: no later step finds it, and the rerun makes it whole."""

import signal
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from recsys_tasks.errors import MissingArtefact
from recsys_tasks.workspace import MADE_BY
from tests.faults.children import KILLED, ended
from tests.faults.night_work import LIST_STEPS, MOMENTS, run_list_step, run_step
from tests.steps.encoder_night import encoder_job
from tests.steps.list_night import bare_job
from tests.steps.tower_night import refitting

DEATHS = {moment: -signal.SIGXFSZ if moment == "inside a file" else KILLED for moment in MOMENTS}
ENCODER_STEPS = [("finetune_encoder", "encoder"), ("encode_items", "vectors")]


def nothing_is_found(job: Any, name: str) -> None:
    assert job.workspace.find(name, job.night) is None
    with pytest.raises(MissingArtefact, match=f"run the step {MADE_BY[name]} first"):
        job.workspace.need(name, job.night)


def finished(job: Any, step: str, name: str) -> None:
    """Run the step again, to its end; nothing of the dead run is left."""
    import_module(f"recsys_tasks.steps.{step}").run(job)
    made = job.workspace.need(name, job.night)
    assert [path.name for path in made.path.parent.iterdir() if path.is_dir()] == [made.fingerprint]


@pytest.mark.slow
def test_killed_while_a_step_of_the_lists_writes(tmp_path: Path):
    job = refitting(bare_job(tmp_path / "home"))
    for step, name, prepare in LIST_STEPS:
        prepare(job)
        # Of an artefact's last moments test_killed_files knows each.
        for moment, death in list(DEATHS.items())[:3]:
            code = ended(run_list_step, moment, tmp_path / "note", step, tmp_path / "home")
            assert (step, moment, code) == (step, moment, death)
            nothing_is_found(job, name)
        finished(job, step, name)


@pytest.mark.slow
def test_killed_while_a_step_of_the_encoder_writes(tmp_path: Path):
    # The frozen encoder is written by the same code as a tuned one, without the training.
    job = encoder_job(tmp_path, enabled=False)
    for step, name in ENCODER_STEPS:
        for moment, death in DEATHS.items():
            code = ended(run_step, moment, tmp_path / "note", step, job)
            assert (step, moment, code) == (step, moment, death)
            nothing_is_found(job, name)
        finished(job, step, name)


def test_these_are_all_steps_that_make_artefacts():
    tried = {name: step for step, name, _ in LIST_STEPS} | {name: step for step, name in ENCODER_STEPS}
    assert tried == MADE_BY
