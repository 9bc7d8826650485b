import dataclasses
from datetime import UTC, date, datetime

import polars as pl
import pytest

from benchmarks.home import open_home, shop_settings
from benchmarks.scene import Scene
from benchmarks.slices import item_facts
from benchmarks.systems import log_of, names
from recsys_tasks.errors import SettingsError
from tests.benchmarks.shop import CUT, bench_home


def test_the_whole_log_is_ingested_and_the_shops_home_is_not_touched(shop, home):
    assert home.first.date() == shop.first
    assert home.last.date() == shop.last
    assert not (shop.folder / "home").exists()
    assert not (shop.folder / "serve.db").exists()
    assert home.settings.database.startswith(f"sqlite:///{home.folder}")


def test_a_second_run_finds_the_home_again(shop, home):
    before = (home.folder / "ingested").stat().st_mtime_ns
    again = bench_home(shop, home.folder.parent)
    assert (again.folder, (again.folder / "ingested").stat().st_mtime_ns) == (home.folder, before)


def test_a_changed_log_gets_a_home_of_its_own(shop, home, tmp_path):
    copy = tmp_path / "shop"
    copy.mkdir()
    for name in ("items.csv", "log.csv"):
        (copy / name).write_bytes((shop.folder / name).read_bytes())
    (copy / "shop.yaml").write_text(shop.file.read_text())
    first = open_home(shop_settings(copy / "shop.yaml"), tmp_path / "homes")
    with (copy / "log.csv").open("a") as log:
        log.write("c9999,g00,sale,2026-04-16T10:00:00,9.5\n")
    second = open_home(shop_settings(copy / "shop.yaml"), tmp_path / "homes")
    assert first.folder != second.folder
    assert second.last == datetime(2026, 4, 16, 10, tzinfo=UTC)


def test_settings_are_overridden_for_this_run_only(shop):
    assert (
        shop_settings(shop.file, ["towers.dim=8", "seed=5", "towers.half_lives_days=[3, 9]"]).towers.dim == 8
    )
    assert shop_settings(shop.file).towers.dim == 16


@pytest.mark.parametrize(
    "override", ["towers.dimension=8", "tower.dim=8", "towers.dim=wide", "towers.dim", "=3"]
)
def test_an_override_that_means_nothing_is_refused(shop, override):
    with pytest.raises(SettingsError):
        shop_settings(shop.file, [override])
    assert shop_settings(shop.file).towers.dim == 16


def test_an_unknown_row_is_refused_and_known_ones_keep_their_order():
    assert names(["repeat", "ours"]) == ["ours", "repeat"]
    with pytest.raises(SettingsError, match="ourz"):
        names(["ourz"])


def test_the_night_ends_where_the_cut_begins(home):
    assert home.job(CUT).night.as_of == datetime(CUT.year, CUT.month, CUT.day, tzinfo=UTC)
    assert home.job(CUT).options.start == "scratch"


def test_targets_lie_behind_the_cut_and_are_items_on_offer(home):
    scene = Scene(home.job(CUT))
    rules = home.settings.rules.model_copy(update={"blocked_categories": ["garden"]})
    blocked = Scene(
        dataclasses.replace(scene.job, settings=home.settings.model_copy(update={"rules": rules}))
    )
    assert set(scene.wanted(7)["item_id"]) <= set(scene.offered)
    assert not any(item.startswith("g") for item in blocked.wanted(28)["item_id"])
    week, month = scene.wanted(7).select("user_id", "item_id"), scene.wanted(28).select("user_id", "item_id")
    assert len(week.join(month, on=["user_id", "item_id"], how="anti")) == 0
    assert len(week) < len(month)


def test_a_peer_sees_every_event_before_the_cut_and_nothing_else(home):
    scene = Scene(home.job(CUT))
    log = log_of(scene)
    assert len(log) == len(scene.snapshot.events)
    assert log.as_of == int(datetime(2026, 3, 17, tzinfo=UTC).timestamp() * 1_000_000)
    assert int(log.times[-1]) < log.as_of
    assert log.items_offered.equals(scene.offered)


def test_item_facts_cover_the_offer(home):
    scene = Scene(home.job(CUT))
    facts = item_facts(scene.snapshot, scene.offered, home.settings.target_events)
    assert facts["item_id"].equals(scene.offered.alias("item_id"))
    assert facts.null_count().select(pl.sum_horizontal(pl.all())).item() == 0


def test_cuts_of_one_home_do_not_share_a_lock(home):
    with home.alone(CUT), home.alone(date(2026, 2, 1)):
        pass
