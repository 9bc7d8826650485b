"""
The promise of the time rules: a night made late is the night that was made in time.

Three nights are made one after the other, each on its own morning; then their artefacts are lost, and the nights are
made again in a backfill while the days behind them lie in the lake already.
"""

import shutil
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from recsys_tasks.calendar import Night
from recsys_tasks.steps import NIGHT_STEPS, ingest
from recsys_tasks.steps.audit_stored import audit_night
from recsys_tasks.steps.ingest import run_range
from recsys_tasks.steps.init import init_shop
from recsys_tasks.steps.job import Options, open_job
from recsys_tasks.steps.pin import PINNED
from recsys_tasks.steps.replay import replay
from recsys_tasks.steps.runner import run_step
from recsys_tasks.steps.stale import stale
from tests.integration.made import Made, made, make_night
from tests.shop import Shop, make_shop

pytestmark = pytest.mark.slow

DAYS_AFTER = 4


def morning_after(night: str) -> datetime:
    return Night(date.fromisoformat(night)).as_of + timedelta(hours=3)


def launch(shop: Shop, *items: str) -> None:
    """The catalogue changes: new items, and a new text for an old one."""
    file = shop.folder / "items.csv"
    rows = file.read_text().replace("red spade", "crimson spade")
    file.write_text(rows + "".join(f"{item},white {item},garden,7.0\n" for item in items))


@pytest.fixture(scope="module")
def shop(tmp_path_factory, encoder):
    made = make_shop(
        tmp_path_factory.mktemp("backfill") / "shop", encoder=encoder, shoppers=90, days=75, lookback_days=1
    )
    patch = pytest.MonkeyPatch()
    patch.setenv("RECSYS_SHOP", str(made.file))
    yield made
    patch.undo()


@pytest.fixture(scope="module")
def nights(shop) -> list[str]:
    return [shop.night(DAYS_AFTER + back) for back in (2, 1, 0)]


@pytest.fixture(scope="module")
def live(shop, nights) -> dict[str, Made]:
    """Each night made on its own morning, from what the shop knew by then."""
    patch = pytest.MonkeyPatch()
    init_shop()
    run_range(shop.first.isoformat(), shop.night(DAYS_AFTER + 3))
    for number, night in enumerate(nights):
        patch.setattr(ingest, "_now", lambda night=night: morning_after(night))
        launch(shop, f"novelty{number}")
        make_night(night, Options())
    patch.undo()
    return {night: made(night) for night in nights}


@pytest.fixture(scope="module")
def backfilled(shop, nights, live) -> dict[str, Made]:
    """The artefacts are gone, newer days are there; the nights are made again, today."""
    launch(shop, "latest")
    run_range(shop.night(DAYS_AFTER - 1), shop.night())
    shutil.rmtree(shop.folder / "home" / "artefacts")
    for night in nights:
        make_night(night, Options(publish="dry_run"))
    return {night: made(night) for night in nights}


def test_the_nights_start_from_each_other(live, nights):
    """The second one fits an encoder of its own, and so new towers; the third goes on from an accepted model."""
    assert [live[night].warm is not None for night in nights] == [False, False, True]
    assert {live[night].decision["accepted"] for night in nights} == {True, False}


def test_a_backfill_reads_what_the_live_night_read(live, backfilled, nights):
    for night in nights:
        assert backfilled[night].inputs == live[night].inputs
        assert backfilled[night].fingerprints == live[night].fingerprints


def test_a_backfill_makes_the_pairs_of_the_live_night(live, backfilled, nights):
    for night in nights:
        for table in ("pairs", "negatives", "examples"):
            assert backfilled[night].tables[table].equals(live[night].tables[table])


def test_a_backfill_decides_as_the_live_night(live, backfilled, nights):
    for night in nights:
        assert backfilled[night].decision == live[night].decision
        assert backfilled[night].tables["scores"].equals(live[night].tables["scores"])


def test_a_backfill_makes_the_lists_of_the_live_night(live, backfilled, nights):
    for night in nights:
        assert backfilled[night].tables["lists"].equals(live[night].tables["lists"])


def test_a_backfill_leaves_readers_alone(backfilled, nights):
    store = open_job(nights[-1]).store
    assert len(store.moves()) == len(nights)
    assert store.live().night.isoformat() == nights[-1]


# Late and corrected data


@dataclass(frozen=True)
class Corrected:
    """A day of the log was corrected after its night and the one behind it were made; then its own night was redone."""

    stale: list[dict[str, Any]]
    replayed: dict[str, Any]
    replay_steps: list[str]
    before: dict[str, str]
    after: dict[str, str]
    redone: Made
    still_stale: list[dict[str, Any]]
    replayed_later: list[dict[str, Any]]


@pytest.fixture(scope="module")
def corrected(shop, nights, backfilled) -> Corrected:
    _, middle, newest = nights
    correct(shop, middle)
    replay_steps: list[str] = []
    found, replayed = stale(), replay(middle, on_step=replay_steps.append)
    before = places(shop)
    make_night(middle, Options())
    return Corrected(
        stale=found,
        replayed=replayed,
        replay_steps=replay_steps,
        before=before,
        after=places(shop),
        redone=made(middle),
        still_stale=stale(),
        replayed_later=[replay(middle, backfilled[middle].fingerprints["lists"]), replay(newest)],
    )


def correct(shop: Shop, day: str) -> None:
    """The shop takes back half of what it said was bought on a day, and the day is loaded again."""
    file = shop.folder / "log.csv"
    lines = file.read_text().splitlines(keepends=True)
    of_the_day = [n for n, line in enumerate(lines) if f",{day}T" in line]
    for n in reversed(of_the_day[::2]):
        del lines[n]
    file.write_text("".join(lines))
    run_range(day, day, catalogue=False)


def places(shop: Shop) -> dict[str, str]:
    """Every artefact's choice, and when its manifest was written."""
    root = shop.folder / "home" / "artefacts"
    chosen = {str(f.relative_to(root)): f.read_text() for f in root.glob("*/*/current")}
    return chosen | {
        str(f.relative_to(root)): str(f.stat().st_mtime_ns) for f in root.glob("*/*/*/manifest.json")
    }


def test_a_corrected_day_makes_its_night_and_those_behind_it_stale(corrected, nights):
    assert [night["night"] for night in corrected.stale] == nights[1:]
    for night in corrected.stale:
        assert (night["days"], night["catalogue"]) == ([nights[1]], False)
        assert night["remade"] == ["index", "evaluation", "lists"]
        assert night["seconds"] > 0


def test_a_replay_gives_the_old_result_again(corrected, live, nights):
    assert corrected.replayed["differs"] == []
    old = live[nights[1]].fingerprints
    assert corrected.replayed["fingerprints"] == old
    assert pl.read_parquet(f"{corrected.replayed['lists']}/lists.parquet").equals(
        live[nights[1]].tables["lists"]
    )


def test_a_replay_tells_each_step_before_it_runs(corrected):
    assert corrected.replay_steps == list(PINNED)


def test_a_redo_gives_a_new_result(corrected, live, nights):
    old, new = live[nights[1]], corrected.redone
    assert new.fingerprints["lists"] != old.fingerprints["lists"]
    assert not new.tables["lists"].equals(old.tables["lists"])
    assert new.fingerprints["pairs"] == old.fingerprints["pairs"]


def test_redoing_one_night_redoes_nothing_else(corrected, nights):
    assert corrected.before.keys() <= corrected.after.keys()
    changed = {p for p, what in corrected.after.items() if corrected.before.get(p) != what}
    assert {place.split("/")[1] for place in changed} == {nights[1]}
    assert [night["night"] for night in corrected.still_stale] == nights[2:]


def test_old_results_can_be_replayed_after_the_redo(corrected):
    assert [replayed["differs"] for replayed in corrected.replayed_later] == [[], []]


def test_neither_redo_nor_replay_moves_what_readers_see(corrected, nights):
    store = open_job(nights[-1]).store
    assert len(store.moves()) == len(nights)


def test_what_is_stored_passes_the_audit_of_time(corrected, nights):
    for night in nights:
        facts = audit_night(night)
        assert (facts["clean"], facts["lake"]) == (True, "recorded")


# From scratch


def test_a_night_from_scratch_is_replayed_from_scratch(nights, corrected):
    """Though an accepted model is there to start from; or from the towers on only."""
    newest = nights[-1]
    make_night(newest, Options(publish="dry_run"))
    warm = made(newest)
    for options in (
        Options(publish="dry_run", start="scratch"),
        Options(publish="dry_run"),
        Options(publish="dry_run", start="scratch", from_step="train_towers"),
    ):
        make_night(newest, options)
        assert (made(newest).warm is None) == (options.start == "scratch")
        assert replay(newest)["differs"] == []
    assert made(newest).fingerprints["towers"] != warm.fingerprints["towers"]


# While a night goes on


def test_what_arrives_while_a_night_goes_on_changes_nothing_for_it(shop, nights, corrected):
    """A day of its window is corrected behind the pairs; the night before is decided anew before the gate."""
    _, middle, newest = nights
    make_night(newest, Options(publish="dry_run"))
    alone, store = made(newest), open_job(newest).store
    before = store.decision(middle)
    for step in NIGHT_STEPS:
        if step == "train_towers":
            correct(shop, middle)
        if step == "gate":
            decide(store, middle, {**before.refs, "towers": f"towers/{middle}/0123456789abcdef"})
        run_step(step, newest, Options(publish="dry_run"))
    assert made(newest).fingerprints == alone.fingerprints
    assert made(newest).decision == alone.decision
    decide(store, middle, before.refs, before.accepted)
    make_night(newest, Options(publish="dry_run"))
    changed = {name for name, found in made(newest).fingerprints.items() if found != alone.fingerprints[name]}
    assert changed == {"index", "evaluation", "lists"}


def decide(store, night: str, refs: dict[str, Any], accepted: bool = True) -> None:
    store.record_decision(night, accepted=accepted, refs=refs, champion={}, metrics={}, why="for a test")
