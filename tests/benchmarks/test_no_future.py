"""Nothing at or behind a cut reaches any system, its choices of hyper-parameters included."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from benchmarks.home import Home, open_home, shop_settings
from benchmarks.night import FittedNight, run_steps
from benchmarks.ours import OWN_ROWS
from benchmarks.scene import Scene
from benchmarks.systems import log_of, own_lists, peers
from recsys_tasks.errors import DataError
from tests.benchmarks.shop import CUT
from tests.shop import Shop

CUT_AT = datetime(CUT.year, CUT.month, CUT.day)
USERS = pl.Series([f"c{number:04}" for number in range(0, 30)] + ["nobody"])


def with_another_future(shop: Shop, folder: Path) -> Path:
    """The same shop up to the cut; from its first instant on everybody takes one item, again and again."""
    folder.mkdir()
    shutil.copy(shop.folder / "items.csv", folder)
    shutil.copy(shop.file, folder)
    log = pl.read_csv(shop.folder / "log.csv", try_parse_dates=True)
    past = log.filter(pl.col("at") < CUT_AT)
    planted = (
        past.select("customer")
        .unique(maintain_order=True)
        .join(pl.DataFrame({"at": [CUT_AT + timedelta(days=days) for days in range(0, 29, 4)]}), how="cross")
    )
    future = planted.select(
        "customer", pl.lit("w39").alias("sku"), pl.lit("sale").alias("kind"), "at", pl.lit(1.0).alias("paid")
    )
    pl.concat([past, future]).write_csv(folder / "log.csv", datetime_format="%Y-%m-%dT%H:%M:%S")
    return folder / "shop.yaml"


@pytest.fixture(scope="module")
def two_homes(shop: Shop, home: Home, tmp_path_factory: pytest.TempPathFactory) -> list[Home]:
    """The shop, and the same shop with another future."""
    folder = tmp_path_factory.mktemp("future")
    return [home, open_home(shop_settings(with_another_future(shop, folder / "shop")), folder / "homes")]


def test_the_futures_do_differ(two_homes):
    wanted = [Scene(home.job(CUT)).wanted(28) for home in two_homes]
    assert set(wanted[1]["item_id"]) == {"w39"}
    assert len(set(wanted[0]["item_id"])) > 50


def refitting(home: Home) -> Home:
    towers = home.settings.towers.model_copy(update={"refit_epochs": 1})
    return replace(home, settings=home.settings.model_copy(update={"towers": towers}))


@pytest.mark.slow
def test_another_future_changes_no_model_and_no_list(two_homes):
    homes = [refitting(home) for home in two_homes]
    nights: list[FittedNight] = [run_steps(home.job(CUT)) for home in homes]
    assert nights[0].refs == nights[1].refs
    assert nights[0].refs["refit"].startswith("refit/")
    for system in OWN_ROWS:
        one, other = (
            own_lists(system, Scene(home.job(CUT)), USERS, night.refs)
            for home, night in zip(homes, nights, strict=True)
        )
        for target in ("all", "new"):
            assert one[target].equals(other[target]), f"{system} saw the future"


def test_what_a_peer_is_given_ends_at_the_cut(two_homes):
    """A peer chooses its hyper-parameters and fits on this log alone."""
    one, other = (log_of(Scene(home.job(CUT))) for home in two_homes)
    assert one.users.equals(other.users)
    assert one.items.equals(other.items)
    assert one.times.equals(other.times)
    assert one.items_offered.equals(other.items_offered)
    assert one.times[-1] < int(CUT_AT.replace(tzinfo=UTC).timestamp() * 1_000_000)


def test_a_log_that_reaches_behind_the_cut_is_refused(home):
    scene = Scene(home.job(CUT))
    late = Scene(home.job(CUT + timedelta(days=7)))
    with pytest.raises(DataError, match="as_of"):
        type(log_of(scene)).of(late.snapshot.events, late.offered, as_of=log_of(scene).as_of)


def answers(name: str, home: Home) -> tuple[dict[str, Any], pl.DataFrame]:
    peer = peers()[name]()
    peer.fit(log_of(Scene(home.job(CUT))))
    return peer.chosen, peer.top(USERS, 20, True)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in peers() if name in {"item-knn", "ease", "ease-decayed"}])
def test_a_peer_chooses_and_answers_alike_whatever_the_future_holds(name, two_homes):
    (chosen, lists), (chosen_other, lists_other) = (answers(name, home) for home in two_homes)
    assert chosen == chosen_other
    assert lists.equals(lists_other)
