from dataclasses import replace

import pytest

from recsys_tasks.lake.tables import Lake
from recsys_tasks.steps.job import Options
from recsys_tasks.steps.lineage import goes_on, standing, starting_points
from recsys_tasks.workspace import Workspace
from tests.pairs.night import Champion, Decisions
from tests.steps.encoder_night import EncoderJob

NEVER = 1_000_003


@pytest.fixture
def job(tmp_path):
    """A night before which the nights 1 and 2 days earlier made an encoder each, blind to this night's window."""
    job = EncoderJob(Workspace(tmp_path), Lake(tmp_path / "lake"))
    for days in (2, 1):
        make(job, days)
    return job


def make(job, days, gate_days=7):
    night = replace(job.night.shift(-days), gate_days=gate_days)
    told = {"train_until": night.train_until.isoformat()}
    with job.workspace.artefact(
        "encoder", night, inputs={}, settings={"gate_days": gate_days}, rooms=("schema",), recorded=told
    ):
        pass


def days_before(job, artefact):
    return next(days for days in (1, 2, 3) if artefact.night == str(job.night.shift(-days)))


def led_by(job, days):
    ref = job.workspace.need("encoder", job.night.shift(-days)).ref
    return replace(job, store=Decisions(Champion({"encoder": ref})))


def test_without_a_champion_the_newest_goes_on(job):
    assert days_before(job, standing(job, "encoder")) == 1


def test_the_champion_s_own_goes_on_even_where_a_newer_one_was_made(job):
    assert days_before(job, standing(led_by(job, 2), "encoder")) == 2


def test_a_part_the_champion_has_lost_is_not_replaced_by_a_refused_one(job):
    gone = replace(job, store=Decisions(Champion({"encoder": "encoder/2020-01-01/0123456789abcdef"})))
    assert standing(gone, "encoder") is None


def test_nothing_goes_on_where_it_is_the_night_s_turn(job):
    assert goes_on(job, "encoder", every_nights=1) is None
    assert goes_on(job, "encoder", every_nights=NEVER) is not None


def test_nothing_goes_on_from_scratch(job):
    assert goes_on(replace(job, options=Options(start="scratch")), "encoder", NEVER) is None


def test_a_champion_without_such_a_part_leaves_none(job):
    """The newest earlier one may be that of a refused model."""
    assert (
        standing(replace(job, store=Decisions(Champion({"towers": "towers/2026-04-01/abc"}))), "encoder")
        is None
    )


@pytest.mark.parametrize("with_champion", [True, False])
def test_what_was_fitted_on_tonights_window_does_not_go_on(job, with_champion):
    """gate.days was raised since: what an earlier night trained on is now kept for the gate."""
    wider = replace(led_by(job, 1) if with_champion else job, night=replace(job.night, gate_days=9))
    assert standing(wider, "encoder") is None
    assert goes_on(wider, "encoder", NEVER) is None
    assert starting_points(wider) == []
    assert starting_points(led_by(job, 1))


def test_what_does_not_tell_what_it_saw_does_not_go_on(job):
    with job.workspace.artefact("encoder", job.night.shift(-1), inputs={}, settings={}, rooms=("schema",)):
        pass
    assert standing(job, "encoder") is None
