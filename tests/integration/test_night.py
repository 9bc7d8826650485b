"""A whole night of a generated shop through the command line."""

import json
import shutil

import polars as pl
import pytest

from tests.integration.conftest import NIGHT_BEFORE_LAST, command, lists_of, manifests, prepared
from tests.shop import make_shop

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def lists(night_shop):
    return lists_of(f"sqlite:///{night_shop.folder}/serve.db")


def test_every_shopper_gets_a_full_list_of_the_night(night_shop, lists):
    log = pl.read_csv(night_shop.folder / "log.csv", try_parse_dates=True)
    known = log.filter(pl.col("at").dt.date() <= pl.lit(night_shop.night(NIGHT_BEFORE_LAST)).str.to_date())
    assert set(lists["user_id"]) == set(known["customer"])
    assert lists.group_by("user_id").len()["len"].unique().to_list() == [10]
    assert lists["night"].unique().to_list() == [night_shop.night(NIGHT_BEFORE_LAST)]


def test_every_row_says_why(lists):
    reasons = lists["reason"].str.to_lowercase()
    assert reasons.str.contains("because you bought|you buy this|popular|you bought this").all()


def test_lists_follow_the_shopper_s_own_taste(lists):
    # A third by chance; bestsellers, which sell to everybody, keep it below one.
    taste = {"0": "g", "1": "k", "2": "w"}
    own = lists.with_columns(
        taste=pl.col("user_id").str.slice(1).cast(pl.Int64).mod(3).cast(pl.String).replace_strict(taste)
    )
    assert (own["item_id"].str.slice(0, 1) == own["taste"]).mean() > 0.45


def test_status_tells_a_script_what_is_live(night_shop, lists):
    facts = json.loads(command(night_shop, "status", "--json").stdout)
    assert facts["database"].startswith("sqlite:///")
    live = facts["live"]
    assert live["night"] == night_shop.night(NIGHT_BEFORE_LAST)
    assert (live["rows"], live["users"]) == (len(lists), lists["user_id"].n_unique())
    assert {"generation", "fallback_share", "model"} <= live.keys()
    night = next(n for n in facts["nights"] if n["night"] == live["night"])
    assert {"state", "events", "rejected", "pairs", "decision", "metrics"} <= night.keys()
    assert night["events"] > 0


def test_show_reads_as_text(night_shop, lists):
    page = command(night_shop, "show", lists["user_id"][0]).stdout
    assert "took" in page
    assert "is offered" in page
    assert " 1. " in page


def test_report_shows_the_gate(night_shop):
    page = command(night_shop, "report", night_shop.night(NIGHT_BEFORE_LAST)).stdout
    for words in ("challenger", "popular", "repeat", "recall", "loss"):
        assert words in page.lower()


def test_measure_needs_the_days_that_follow(night_shop, tmp_path):
    refused = command(night_shop, "measure", night_shop.night(NIGHT_BEFORE_LAST), code=3)
    assert night_shop.night(NIGHT_BEFORE_LAST - 1) in refused.stderr


def test_a_rerun_reuses_every_artefact_and_changes_no_list(night_shop, lists):
    before = manifests(night_shop)
    command(night_shop, "night", night_shop.night(NIGHT_BEFORE_LAST))
    assert manifests(night_shop) == before
    assert lists_of(f"sqlite:///{night_shop.folder}/serve.db").equals(lists)


def test_two_runs_on_one_machine_agree_to_the_last_byte(night_shop, lists, encoder, tmp_path):
    twin = make_shop(tmp_path / "twin", encoder=encoder)
    command(twin, "night", prepared(twin))
    assert lists_of(f"sqlite:///{twin.folder}/serve.db").equals(lists)
    assert manifests(twin) == manifests(night_shop)


def test_a_changed_setting_makes_a_sibling(night_shop, tmp_path):
    copy = make_shop(tmp_path / "copy", encoder=tmp_path)
    shutil.rmtree(copy.folder)
    shutil.copytree(night_shop.folder, copy.folder)
    text = copy.file.read_text().replace("max_pairs: 5000", "max_pairs: 4000")
    copy.file.write_text(text)
    night = copy.night(NIGHT_BEFORE_LAST)
    command(copy, "build-pairs", night)
    siblings = [p for p in (copy.folder / "home/artefacts/pairs" / night).iterdir() if p.is_dir()]
    assert len(siblings) == 2
