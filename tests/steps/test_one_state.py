"""What a night sees of the shop while the shop goes on."""

import sys
import types
from datetime import date, timedelta

import pytest

from recsys_tasks.errors import MissingArtefact
from recsys_tasks.steps import build_pairs
from recsys_tasks.steps.ingest import run_range
from recsys_tasks.steps.job import Options
from recsys_tasks.steps.pin import PINNED
from recsys_tasks.steps.records import keep_record, record_of
from recsys_tasks.steps.runner import run_step
from tests.steps.log_shop import FIRST, make_log_shop, visits
from tests.store.builders import candidate, lists

DAYS = 16
NIGHT = str(FIRST + timedelta(days=DAYS - 1))
EVE = FIRST + timedelta(days=DAYS - 2)
# A day before the window, and one within it.
OLD, NEW = str(FIRST), str(EVE)
EVENTS = 2 * DAYS


@pytest.fixture
def shop(tmp_path, monkeypatch):
    shop = make_log_shop(tmp_path, monkeypatch)
    shop.log(*visits(DAYS + 2))
    shop.products(("tent", "Tent"), ("mat", "Mat"))
    run_range(str(FIRST), NIGHT)
    return shop


@pytest.fixture(autouse=True)
def seen(monkeypatch):
    """Stand in for the steps behind the pairs; what each finds: events, items, the champion's towers."""
    found = {}

    def looking(name):
        def run(job):
            snapshot, champion = job.lake.snapshot(job.night.as_of), job.accepted
            towers = None if champion is None else champion.refs["towers"]
            found[name] = (len(snapshot.events), len(snapshot.items), towers)
            return {}

        return run

    for name in (*PINNED[1:], "publish", "measure"):
        module = types.ModuleType(f"recsys_tasks.steps.{name}")
        module.run = looking(name)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return found


def test_neither_the_steps_that_write_the_lake_nor_those_that_speak_to_readers_are_pinned():
    assert (PINNED[0], PINNED[-1]) == ("build_pairs", "recommend")
    assert not {"extract_events", "extract_items", "publish"} & set(PINNED)


def corrected(shop, *days):
    """One more purchase is heard of on each day, and the days are loaded again; so is the catalogue."""
    for day in days:
        shop.log(("ann", "mat", f"{day} 18:00:00"))
        run_range(day, day, catalogue=False)
    shop.products(("stove", "Stove"))
    run_range(NIGHT, NIGHT)


def accepted(shop, night, towers):
    shop.job(NIGHT).store.record_decision(
        night, accepted=True, refs={"towers": towers}, champion={}, metrics={}, why="for a test"
    )


def test_what_is_corrected_in_the_middle_of_a_night_is_not_seen_by_it(shop, seen):
    run_step("build_pairs", NIGHT)
    corrected(shop, OLD, NEW)
    for name in (*PINNED[1:], "publish", "measure"):
        run_step(name, NIGHT)
    assert {seen[name] for name in PINNED[1:]} == {(EVENTS, 2, None)}
    # What readers are shown is held against the shop as it is, and a night is measured by what is known later.
    assert seen["publish"] == seen["measure"] == (EVENTS + 2, 3, None)


def test_a_night_that_is_run_again_takes_it_in(shop, seen):
    for name in PINNED:
        run_step(name, NIGHT)
    corrected(shop, NEW)
    run_step("recommend", NIGHT, Options(from_step="recommend"))
    assert seen["recommend"] == (EVENTS, 2, None)
    for name in PINNED:
        run_step(name, NIGHT)
    assert {seen[name] for name in PINNED[1:]} == {(EVENTS + 1, 3, None)}


@pytest.mark.parametrize("day", [OLD, NEW])
def test_steps_of_two_states_are_not_mixed(shop, seen, day):
    for name in PINNED:
        run_step(name, NIGHT)
    corrected(shop, day)
    run_step("build_pairs", NIGHT)
    with pytest.raises(MissingArtefact, match=r"has changed between audit_time.*again from audit_time"):
        run_step("evaluate", NIGHT, Options(from_step="evaluate"))
    run_step("audit_time", NIGHT)
    with pytest.raises(MissingArtefact, match="has changed between finetune_encoder"):
        run_step("evaluate", NIGHT)


def test_newer_days_are_no_other_state(shop, seen):
    for name in PINNED:
        run_step(name, NIGHT)
    run_range(str(FIRST + timedelta(days=DAYS)), str(FIRST + timedelta(days=DAYS + 1)))
    run_step("build_pairs", NIGHT)
    run_step("evaluate", NIGHT)
    assert seen["evaluate"] == (EVENTS, 2, None)


def test_the_versions_that_artefacts_record_are_those_that_were_read(shop):
    versions = shop.job(NIGHT).lake.versions()
    run_step("build_pairs", NIGHT)
    corrected(shop, NEW)
    recorded = shop.job(NIGHT).workspace.need("pairs", NIGHT).manifest["recorded"]
    assert {name: recorded[name] for name in versions} == versions


def test_a_night_that_began_without_a_lake_says_what_it_lacks(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    make_log_shop(tmp_path / "empty", monkeypatch)
    with pytest.raises(Exception, match="the log holds no event before"):
        run_step("build_pairs", NIGHT)


# The champion


def test_an_earlier_night_that_is_decided_in_between_changes_nothing(shop, seen):
    accepted(shop, EVE - timedelta(days=1), "the first")
    run_step("build_pairs", NIGHT)
    accepted(shop, EVE - timedelta(days=1), "the first, made again")
    accepted(shop, EVE, "the second")
    for name in PINNED[1:]:
        run_step(name, NIGHT)
    assert {seen[name] for name in PINNED[1:]} == {(EVENTS, 2, "the first")}
    for name in PINNED:
        run_step(name, NIGHT)
    assert {seen[name] for name in PINNED[1:]} == {(EVENTS, 2, "the second")}


def test_steps_that_met_two_champions_are_not_mixed(shop):
    for name in PINNED:
        run_step(name, NIGHT)
    accepted(shop, EVE, "the second")
    run_step("build_pairs", NIGHT)
    with pytest.raises(MissingArtefact, match="the lake or the champion has changed between audit_time"):
        run_step("train_towers", NIGHT)


def test_a_champion_that_is_rolled_back_in_between_stops_the_night(shop, seen):
    store = shop.job(NIGHT).store
    for night in (EVE - timedelta(days=1), EVE):
        accepted(shop, night, f"of {night}")
        store.publish(candidate(night, model_refs={"towers": f"of {night}"}), [lists()])
    run_step("build_pairs", NIGHT)
    store.rollback(why="bad prices", who="ann")
    with pytest.raises(
        MissingArtefact, match=f"{EVE} as its champion, which was rolled back.*from build_pairs"
    ):
        run_step("train_towers", NIGHT)
    run_step("build_pairs", NIGHT)
    run_step("train_towers", NIGHT)
    assert seen["train_towers"] == (EVENTS, 2, f"of {EVE - timedelta(days=1)}")


# What lies there already


def test_pairs_that_were_made_but_not_recorded_are_not_gone_on_with(shop, monkeypatch):
    run_step("build_pairs", NIGHT)
    corrected(shop, OLD)
    build_pairs.run(shop.job(NIGHT))
    with pytest.raises(MissingArtefact, match="build_pairs was cut off"):
        run_step("train_towers", NIGHT)


def test_a_night_that_an_earlier_release_began_is_finished_as_it_was_begun(shop, seen):
    run_step("build_pairs", NIGHT)
    job = shop.job(NIGHT)
    told = record_of(job, "build_pairs")
    del told["pin"]
    keep_record(job, "build_pairs", told)
    corrected(shop, NEW)
    run_step("train_towers", NIGHT)
    assert seen["train_towers"] == (EVENTS + 1, 3, None)
    assert "pin" not in record_of(job, "train_towers")


def test_each_record_tells_the_state_it_was_made_from(shop):
    accepted(shop, EVE, "the first")
    for name in PINNED:
        run_step(name, NIGHT)
    job = shop.job(NIGHT)
    pins = [record_of(job, name)["pin"] for name in PINNED]
    assert all(pin == pins[0] for pin in pins)
    assert pins[0]["champion"] == {"night": str(EVE), "refs": {"towers": "the first"}}
    assert date.fromisoformat(pins[0]["champion"]["night"]) == EVE
