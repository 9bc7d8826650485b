"""What an operator may go back to, and what was refused."""

import json
from io import StringIO

import polars as pl
import pytest
from rich.console import Console
from typer.testing import CliRunner

from recsys_tasks.cli import app
from recsys_tasks.errors import PublishRefused
from recsys_tasks.settings import StoreSettings, load_settings
from recsys_tasks.steps.generations import generations
from recsys_tasks.steps.generations_page import print_generations
from recsys_tasks.store.store import open_store
from tests.shop import make_shop
from tests.store.builders import MONDAY, TUESDAY, WEDNESDAY, candidate, lists

KNOWN = pl.Series(["tea", "milk", "rye", "oat"])


@pytest.fixture
def store(tmp_path, monkeypatch):
    shop = make_shop(tmp_path / "shop", encoder=tmp_path, shoppers=3, days=20)
    monkeypatch.setenv("RECSYS_SHOP", str(shop.file))
    return open_store(load_settings().database, tmp_path)


@pytest.fixture
def three(store):
    """Monday live again after Tuesday's lists were bad, Wednesday's refused."""
    store.publish(candidate(MONDAY, fallback_share=0.25), [lists()], known_items=KNOWN)
    store.publish(candidate(TUESDAY), [lists()], known_items=KNOWN, who="night run")
    store.rollback(why="bad prices", who="ann")
    with pytest.raises(PublishRefused):
        store.publish(candidate(WEDNESDAY), [lists(items=("tea", "tea", "rye"))], known_items=KNOWN)
    return store


def printed(facts):
    page = StringIO()
    print_generations(Console(file=page, width=150), facts)
    return page.getvalue()


def test_newest_first_with_the_live_one_marked(three):
    facts = generations()
    assert [(g["generation"], g["night"], g["state"], g["live"]) for g in facts] == [
        (3, "2026-03-04", "refused", False),
        (2, "2026-03-03", "ready", False),
        (1, "2026-03-02", "ready", True),
    ]


def test_each_tells_its_figures_and_who_put_it_live(three):
    live = generations()[-1]
    assert (live["model"], live["rows"], live["users"], live["fallback_share"]) == (
        "model of 2026-03-02",
        6,
        2,
        0.25,
    )
    assert (live["audit"]["coverage"], live["audit"]["duplicates"]) == (0.75, 0)
    assert (live["live_by"], live["live_why"]) == ("ann", "bad prices")
    assert generations()[1]["live_by"] == "night run"


def test_why_lists_are_not_live_is_said(three):
    refused, left, live = generations()
    assert "2 rows repeat an item" in refused["said"]
    assert left["said"].endswith("UTC: bad prices")
    assert live["said"] is None


def test_pruned_ones_are_listed_without_lists(store):
    for night in (MONDAY, TUESDAY):
        store.publish(candidate(night), [lists()], StoreSettings(keep_generations=1))
    assert [g["state"] for g in generations()] == ["ready", "pruned"]


def test_it_reads_as_a_table(three):
    page = printed(generations())
    assert "generation 2: rolled back" in page
    row = next(line for line in page.splitlines() if "2026-03-02" in line)
    assert all(told in row for told in ("live", "model of 2026-03-02", "75.0%", "25.0%"))
    assert "no lists yet" in printed([])


def test_for_scripts_it_is_json(three, tmp_path):
    done = CliRunner().invoke(app, ["--shop", str(tmp_path / "shop/shop.yaml"), "generations", "--json"])
    assert done.exit_code == 0
    assert [g["live"] for g in json.loads(done.stdout)] == [False, False, True]


def test_who_put_lists_live_is_told_with_when_and_why(three):
    lines = printed(generations()).splitlines()
    told = [line for line in lines if line.startswith("generation 1: live since ")]
    assert len(told) == 1
    assert told[0].endswith("UTC, by ann: bad prices")
    assert any(line.startswith("generation 2: went live ") and "by night run" in line for line in lines)
    assert any(line.startswith("generation 2: rolled back ") for line in lines)


def test_a_models_name_fits_its_column():
    facts = {
        **dict.fromkeys(("live", "fallback_share", "live_since", "said")),
        **{"generation": 1, "night": "2026-03-02", "state": "ready", "rows": 1, "users": 1, "audit": {}},
        "model": "towers/2026-03-01/0123456789abcdef",
    }
    assert "2026-03-01 012345 " in printed([facts])
