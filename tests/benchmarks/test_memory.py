import json

import polars as pl
import pytest

from benchmarks import memory, night
from benchmarks.isolated import Measured
from benchmarks.memory import many
from recsys_tasks.errors import SettingsError
from recsys_tasks.lake.snapshot import EVENT_ORDER
from tests.benchmarks.shop import CUT, SHOPPERS


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    for module in (memory, night):
        monkeypatch.setattr(
            module, "measured", lambda function, *given: Measured(function(*given), 1.0, 100.0)
        )


def test_a_shop_held_thrice_has_every_shoppers_events_three_times(home):
    job = home.job(CUT)
    once = job.lake.snapshot(job.night.as_of)
    thrice = many(once, 3)
    assert thrice.items is once.items
    assert thrice.events.equals(thrice.events.sort(EVENT_ORDER)), "a snapshot's rows have their order"
    assert thrice.events["user_id"].n_unique() == 3 * once.events["user_id"].n_unique()
    for number in range(3):
        copy = thrice.events.filter(pl.col("user_id").str.ends_with(f"~{number}"))
        named = copy.with_columns(pl.col("user_id").str.strip_suffix(f"~{number}"))
        assert named.equals(once.events)


def test_every_shopper_of_every_copy_gets_a_list(shop, home, tmp_path, capsys):
    out = tmp_path / "memory.json"
    common = ["--shop", str(shop.file), "--home", str(home.folder.parent), "--out", str(out)]
    assert memory.main([*common, "--cut", str(CUT), "--times", "1", "3"]) == 0
    rows = {(row["system"], row["metric"]): row["value"] for row in json.loads(out.read_text())}
    assert rows["times 3", "shoppers"] == 3 * rows["times 1", "shoppers"] == 3 * SHOPPERS
    for system in ("times 1", "times 3"):
        assert rows[system, "served"] == rows[system, "shoppers"]
        # How much this process grew depends on what ran in it before: it may have had room for the log.
        assert rows[system, "lists_peak_mb"] > max(rows[system, "log_mb"], 0)
        assert rows[system, "groups"] > SHOPPERS / 2, "groups of both heads"
    assert rows["times 3", "events"] == 3 * rows["times 1", "events"]
    assert rows["times 3", "groups"] > 2 * rows["times 1", "groups"]
    assert "lists_mb" in capsys.readouterr().out


def test_a_log_that_is_held_no_time_is_refused(shop, home, tmp_path, capsys):
    common = [
        "--shop",
        str(shop.file),
        "--home",
        str(home.folder.parent),
        "--out",
        str(tmp_path / "out.json"),
    ]
    assert memory.main([*common, "--cut", str(CUT), "--times", "0"]) == SettingsError.exit_code
    assert "--times 0" in capsys.readouterr().err
