"""Every leak is planted in the files of a small night, and the step must stop it."""

import shutil
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from recsys_tasks.errors import LeakFound, MissingArtefact
from recsys_tasks.lake.snapshot import Snapshot
from recsys_tasks.lake.tables import Lake
from recsys_tasks.pairs.audit import RULES, LearningCut
from recsys_tasks.steps import audit_time, build_pairs, lineage
from recsys_tasks.steps.audit_time import run
from recsys_tasks.steps.job import Options
from tests.pairs.night import NIGHT, Champion, Decisions, SmallJob, days, opened, small_job


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    job = small_job(tmp_path_factory.mktemp("built"))
    build_pairs.run(job)
    return job.workspace.home


@pytest.fixture
def job(built, tmp_path) -> SmallJob:
    """A night of its own whose pairs are built."""
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    return opened(tmp_path)


def replant(job, name, change):
    """Rewrite one frame of the artefact ``pairs`` in place."""
    file = job.workspace.need("pairs", job.night).path / f"{name}.parquet"
    change(pl.read_parquet(file)).write_parquet(file)


def first_row(**changed):
    """A change of the given columns in the first row only."""
    first = pl.int_range(pl.len()) == 0
    return lambda frame: frame.with_columns(
        **{name: pl.when(first).then(value).otherwise(name) for name, value in changed.items()}
    )


def last_row(**changed):
    turned = first_row(**changed)
    return lambda frame: turned(frame.reverse()).reverse()


def test_a_clean_night_passes_every_rule(job):
    assert run(job)["rules"] == dict.fromkeys(RULES, 0)


def test_without_pairs_the_missing_step_is_named(tmp_path):
    with pytest.raises(MissingArtefact, match="pairs"):
        run(small_job(tmp_path))


@dataclass(frozen=True)
class ClocklessLake(Lake):
    """A lake that forgets to cut at the night's end."""

    def snapshot(self, as_of: datetime) -> Snapshot:
        return replace(super().snapshot(as_of + days(2)), as_of=as_of)


def test_an_event_after_the_night_stops_it(job):
    with pytest.raises(
        LeakFound, match="event at or after the night's end: 18, for example occurred_at 2026-04-11"
    ):
        run(replace(job, lake=ClocklessLake(job.lake.folder)))


@pytest.mark.parametrize(
    ("why", "name", "change"),
    [
        ("pair inside the gate's window", "pairs", last_row(occurred_at=NIGHT.train_until)),
        ("target inside the gate's window", "examples", last_row(positives_until=NIGHT.train_until)),
        ("history that runs into the gate's window", "examples", last_row(history_until=NIGHT.as_of)),
        ("item in training that had no event yet", "negatives", last_row(negative_id=pl.lit("launch"))),
        (
            "target that did not happen after its history",
            "examples",
            last_row(history_until=NIGHT.train_until),
        ),
        ("target wrongly called new", "examples", last_row(is_new=pl.col("is_new").list.eval(~pl.element()))),
        ("pair out of order or twice: 1", "pairs", lambda frame: pl.concat([frame.head(1), frame])),
        ("pair out of order or twice", "pairs", lambda frame: frame.reverse()),
        ("negative out of order or twice", "negatives", lambda frame: frame.reverse()),
        ("example out of order or twice", "examples", lambda frame: frame.reverse()),
        ("negative that its shopper had touched", "negatives", last_row(negative_id=pl.col("anchor_id"))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_leak_in_the_pairs_stops_it(job, why, name, change):
    replant(job, name, change)
    with pytest.raises(LeakFound, match=why):
        run(job)


@dataclass(frozen=True)
class LooseLake(Lake):
    """A lake that hands events over as they arrived."""

    def snapshot(self, as_of: datetime) -> Snapshot:
        found = super().snapshot(as_of)
        return replace(found, events=found.events.sample(fraction=1.0, shuffle=True, seed=1))


def test_events_in_the_order_of_arrival_stop_it(job):
    with pytest.raises(LeakFound, match="event out of order"):
        run(replace(job, lake=LooseLake(job.lake.folder)))


class EagerSnapshot(Snapshot):
    """A snapshot that offers whatever it has heard of."""

    def eligible(self) -> pl.Series:
        return self.items["item_id"]


@dataclass(frozen=True)
class EagerLake(Lake):
    def snapshot(self, as_of: datetime) -> Snapshot:
        found = super().snapshot(as_of)
        launch = pl.when(pl.col("item_id") == "launch").then(as_of + days(1)).alias("available_from")
        return EagerSnapshot(as_of, found.events, found.items.with_columns(launch))


def test_an_item_offered_before_its_launch_stops_it(job):
    with pytest.raises(LeakFound, match="item offered before its launch: 1, for example item_id launch"):
        run(replace(job, lake=EagerLake(job.lake.folder)))


def earlier_model(job, inputs, name="towers", until=None):
    night = NIGHT.shift(-1)
    told = {"train_until": (until or night.train_until).isoformat()}
    with job.workspace.artefact(
        name, night, inputs=inputs, settings={}, rooms=("schema",), recorded=told
    ) as draft:
        (draft.path / "model.json").write_text("{}")
    return draft.artefact.ref


@pytest.mark.parametrize("night", ["2026-04-10", "2026-04-11"])
def test_a_champion_of_tonight_or_later_stops_it(job, night):
    late = Champion({"towers": f"towers/{night}/abc123"})
    with pytest.raises(
        LeakFound, match=f"model of this night or later: 1, for example model towers/{night}/abc123"
    ):
        run(replace(job, store=Decisions(late)))


def test_a_model_that_was_made_from_a_later_one_stops_it(job):
    tainted = earlier_model(job, {"warm": "towers/2026-04-12/abc123"})
    with pytest.raises(LeakFound, match=r"model made from a later one: .* towers/2026-04-12/abc123"):
        run(replace(job, store=Decisions(Champion({"towers": tainted}))))


@pytest.mark.parametrize("name", ["encoder", "ranker"])
def test_a_model_fitted_on_days_of_the_window_is_not_started_from(job, name):
    """gate.days was raised since; nothing is taken over, so nothing leaks."""
    seen = earlier_model(job, {}, name, until=NIGHT.train_until + days(1))
    assert run(job)["models"] == []
    assert seen in run(replace(job, store=Decisions(Champion({name: seen}))))["models"]


@pytest.mark.parametrize("name", ["encoder", "towers", "ranker"])
def test_a_start_from_a_model_that_saw_the_window_stops_it(job, name, monkeypatch):
    seen = earlier_model(job, {}, name, until=NIGHT.train_until + days(1))
    monkeypatch.setattr(lineage, "is_blind", lambda *_: True)
    with pytest.raises(LeakFound, match=f"fitted on days of the gate's window: 1, for example model {seen}"):
        run(replace(job, store=Decisions(Champion({name: seen}))))


def test_what_training_does_not_take_is_not_listed(job):
    """While there is no champion, towers start from scratch; a night from scratch takes over nothing."""
    earlier_model(job, {})
    encoder = earlier_model(job, {}, "encoder")
    assert run(job)["models"] == [encoder]
    assert run(replace(job, options=Options(start="scratch")))["models"] == []


def test_models_of_earlier_nights_are_followed_back_and_reported(job):
    first = earlier_model(job, {"warm": None})
    champion = earlier_model(job, {"warm": first, "vectors": ["vectors/2026-04-08/abc123"]})
    assert run(replace(job, store=Decisions(Champion({"towers": champion}))))["models"] == sorted(
        {first, champion, "vectors/2026-04-08/abc123"}
    )


@pytest.mark.parametrize(
    ("ends", "why"),
    [(6, "ranker labels inside the gate's window"), (35, "ranker cut without days for its labels")],
)
def test_a_ranker_that_would_learn_from_the_window_stops_it(job, monkeypatch, ends, why):
    wrong = LearningCut(NIGHT.days_before_end(35), NIGHT.days_before_end(ends))
    monkeypatch.setattr(audit_time, "plans", lambda night, settings: iter([[wrong]]))
    with pytest.raises(LeakFound, match=why):
        run(job)


def test_every_finding_is_told_at_once(job):
    replant(job, "pairs", last_row(occurred_at=NIGHT.as_of))
    replant(job, "negatives", last_row(negative_id=pl.col("anchor_id")))
    with pytest.raises(LeakFound) as stopped:
        run(job)
    lines = str(stopped.value).splitlines()
    assert lines[0] == "night 2026-04-10 would learn from the future:"
    assert len(lines) == 3
