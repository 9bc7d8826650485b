from datetime import date
from pathlib import Path

import polars as pl
import pytest

from benchmarks import ablation, quality_tables, variants
from benchmarks.ablation import compared
from benchmarks.home import shop_settings
from benchmarks.metrics import METRICS
from recsys_tasks.errors import SettingsError


def scores(system, values):
    """One slice's scores: a shopper a value, the same in every metric."""
    rows = {
        "cut": [date(2024, 1, 1)] * len(values),
        "horizon": [28] * len(values),
        "slice": ["new"] * len(values),
        "target": ["new"] * len(values),
        "system": [system] * len(values),
        "user_id": [f"u{number}" for number in range(len(values))],
    }
    return pl.DataFrame(rows | dict.fromkeys(METRICS, values))


def test_a_variant_is_compared_shopper_by_shopper_with_the_night_as_it_is():
    base = scores("as it is: ours", [0.1, 0.5, 0.9, 0.2])
    mine = scores("no text: ours", [0.0, 0.4, 0.8, 0.1]).sample(fraction=1, shuffle=True, seed=3)
    rows = {row["metric"]: row for row in compared("no text", mine, base, seed=1)}
    ahead = rows["NDCG@10"]
    assert ahead["system"] == "no text: ours - ours"
    assert (ahead["against"], ahead["slice"], ahead["users"]) == ("ours", "new", 4)
    for end in ("value", "ci_low", "ci_high"):
        assert ahead[end] == pytest.approx(-0.1), "every shopper lost the same: no spread"


def test_a_misspelt_variant_is_told_which_there_are():
    with pytest.raises(SettingsError, match="no such variant"):
        variants.chosen(["no tekst"])


def test_only_the_rows_asked_for_are_made():
    both = variants.asked(None, ["ours", "ours-tower"])
    towers = variants.asked(None, ["ours-tower"])
    assert both == list(variants.VARIANTS)
    assert {variant.systems for variant in towers} == {("ours-tower",)}
    assert [variant.name for variant in towers] == [
        variant.name for variant in variants.VARIANTS if "ours-tower" in variant.systems
    ]


def test_a_variant_that_is_named_and_changes_none_of_the_rows_is_refused():
    with pytest.raises(SettingsError, match='--systems ours-tower: "no repeat candidates" changes ours only'):
        variants.asked(["no item ids", "no repeat candidates"], ["ours-tower"])


def test_settings_by_hand_are_variants_of_their_own_and_stand_alone():
    choice = ["towers.new_popularity=1", "towers.neighbour_weight=0.5"]
    (alone,) = variants.asked(None, ["ours"], [choice])
    assert alone == variants.Variant(" ".join(choice), tuple(choice), ("ours",))
    beside = variants.asked(["no item ids"], ["ours"], [["ranker.trees=9"], choice])
    assert [variant.name for variant in beside] == ["no item ids", "ranker.trees=9", " ".join(choice)]


@pytest.mark.parametrize("change", ["seed=7", 'rules.blocked_items=["a"]'])
def test_what_changes_the_question_is_refused_before_anything_is_fitted(change, monkeypatch):
    monkeypatch.setenv("ONLINE_RETAIL", "nowhere")
    file = Path(__file__).parents[2] / "examples/online_retail/shop.yaml"
    given = ["--shop", str(file), "--out", "out.json", "--vary", "ranker.trees=9", "--vary", change]
    with pytest.raises(SettingsError, match=rf"{change.split('=')[0].split('.')[0]} decides what is asked"):
        ablation.settings_of(ablation._parser().parse_args(given))


def test_a_variants_name_may_have_a_colon_in_it():
    base = scores("as it is: ours", [0.1, 0.5])
    name = 'pairs.negatives={"own": 1}'
    rows = list(compared(name, scores(f"{name}: ours", [0.2, 0.6]), base, seed=1))
    assert name in quality_tables.ablation(rows, "new")


@pytest.mark.parametrize("variant", variants.VARIANTS, ids=lambda variant: variant.name)
def test_every_variant_is_a_change_that_the_settings_take(variant, monkeypatch):
    monkeypatch.setenv("ONLINE_RETAIL", "nowhere")
    file = Path(__file__).parents[2] / "examples/online_retail/shop.yaml"
    changed = shop_settings(file, variant.changes)
    assert changed != shop_settings(file)
