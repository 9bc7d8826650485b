"""
A shop with a refit and its twin without one: the same nights, but for the lists of an accepted model.

What the gate compares, what the next night starts from and what it goes back to never see a refit.
"""

import json
from dataclasses import dataclass
from typing import Any

import polars as pl
import pytest

from recsys_tasks.steps import NIGHT_STEPS
from recsys_tasks.steps.audit_stored import audit_night
from recsys_tasks.steps.ingest import run_range
from recsys_tasks.steps.init import init_shop
from recsys_tasks.steps.job import Options, open_job
from recsys_tasks.steps.records import record_of
from recsys_tasks.steps.replay import replay
from recsys_tasks.steps.runner import run_step
from recsys_tasks.steps.stale import stale
from recsys_tasks.workspace import MADE_BY
from tests.shop import Shop, make_shop

pytestmark = pytest.mark.slow

TOWERS = {"dim": 16, "epochs": 3, "warm_epochs": 1, "batch_examples": 64, "negatives": 64}
DAYS_AFTER = 7


@dataclass(frozen=True)
class Made:
    """What a night came to: the fingerprint of each artefact, its decision, and the evaluation's figures."""

    fingerprints: dict[str, str]
    decision: dict[str, Any]
    scores: pl.DataFrame


@dataclass(frozen=True)
class Twin:
    shop: Shop
    nights: list[str]
    made: list[Made]


def make_night(night: str, options: Options | None = None) -> Made:
    for step in NIGHT_STEPS:
        run_step(step, night, options)
    job = open_job(night)
    found = {name: it for name in MADE_BY if (it := job.workspace.find(name, night)) is not None}
    decision = job.store.decision(night)
    return Made(
        fingerprints={name: artefact.fingerprint for name, artefact in found.items()},
        decision={name: getattr(decision, name) for name in ("accepted", "refs", "champion", "why")},
        scores=pl.read_parquet(found["evaluation"].path / "scores.parquet"),
    )


def twin(folder, encoder, patch, **towers) -> Twin:
    """Two nights of the shop; the second one goes on from the first's encoder and towers."""
    shop = make_shop(folder, encoder=encoder, shoppers=90, days=75, towers=TOWERS | towers)
    patch.setenv("RECSYS_SHOP", str(shop.file))
    init_shop()
    run_range(shop.first.isoformat(), shop.night())
    nights = [shop.night(DAYS_AFTER + back) for back in (1, 0)]
    return Twin(shop, nights, [make_night(night) for night in nights])


@pytest.fixture(scope="module")
def patch():
    patch = pytest.MonkeyPatch()
    yield patch
    patch.undo()


@pytest.fixture(scope="module")
def plain(tmp_path_factory, encoder, patch) -> Twin:
    return twin(tmp_path_factory.mktemp("plain") / "shop", encoder, patch)


@pytest.fixture(scope="module")
def refitting(tmp_path_factory, encoder, patch, plain) -> Twin:
    made = twin(tmp_path_factory.mktemp("refit") / "shop", encoder, patch, refit_epochs=1)
    assert made.made[0].decision["accepted"], "the first night's model has to make its lists"
    return made


def test_the_lists_of_an_accepted_night_come_from_its_refit(refitting):
    job = open_job(refitting.nights[0])
    lists, refit = (job.workspace.need(name, job.night) for name in ("lists", "refit"))
    assert (lists.metrics["model"], lists.metrics["refit"]) == (refit.ref, refit.ref)
    assert job.store.generations()[0].model == refit.ref
    assert job.store.generations()[0].model_refs == refitting.made[0].decision["refs"]


def test_only_lists_differ_from_those_of_the_twin(plain, refitting):
    for without, with_one in zip(plain.made, refitting.made, strict=True):
        differs = {
            name
            for name in {**without.fingerprints, **with_one.fingerprints}
            if without.fingerprints.get(name) != with_one.fingerprints.get(name)
        }
        assert differs == ({"refit", "lists"} if with_one.decision["accepted"] else set())


def test_the_next_night_meets_and_starts_from_the_towers_that_the_gate_saw(plain, refitting):
    first, second = refitting.made
    assert second.decision == plain.made[1].decision
    assert second.decision["champion"] == first.decision["refs"]
    assert second.scores.equals(plain.made[1].scores)
    assert "challenger" in second.scores["system"].unique().to_list()
    assert "champion" in second.scores["system"].unique().to_list()
    assert "refit/" not in json.dumps([made.decision for made in refitting.made])


def test_what_is_stored_passes_the_audit_of_time(refitting):
    for night in refitting.nights:
        assert audit_night(night)["clean"]


def test_lists_of_a_refit_are_measured_with_it(refitting):
    night = refitting.nights[0]
    facts = run_step("measure", night)
    assert facts["model"].startswith(f"refit/{night}/")


def test_a_replay_makes_the_refit_again(refitting):
    told = replay(refitting.nights[0])
    assert told["differs"] == []
    assert told["fingerprints"]["refit"] == refitting.made[0].fingerprints["refit"]


def test_a_second_run_and_one_from_the_refit_on_find_everything_made(refitting):
    night = refitting.nights[0]
    for options in (Options(publish="dry_run"), Options(publish="dry_run", from_step="refit_towers")):
        assert make_night(night, options).fingerprints == refitting.made[0].fingerprints
        assert record_of(open_job(night), "refit_towers")["reused"]


def correct(shop: Shop, night: str) -> None:
    """The shop takes back one purchase, and its day is loaded again."""
    file = shop.folder / "log.csv"
    lines = file.read_text().splitlines(keepends=True)
    lines.remove(next(line for line in lines if f",{night}T" in line))
    file.write_text("".join(lines))
    run_range(night, night, catalogue=False)


def test_a_corrected_day_of_the_window_makes_the_refit_stale_as_well(refitting, patch):
    """Last, for it changes the shop. A refit that no list comes from any more is nobody's concern."""
    night = refitting.nights[0]
    assert stale() == []
    correct(refitting.shop, night)
    assert [found["remade"] for found in stale() if found["night"] == night] == [
        ["index", "evaluation", "refit", "lists"]
    ]
    patch.setenv("RECSYS_TOWERS__REFIT_EPOCHS", "0")
    make_night(night, Options(publish="dry_run"))
    correct(refitting.shop, night)
    assert [found["remade"] for found in stale() if found["night"] == night] == [
        ["index", "evaluation", "lists"]
    ]
