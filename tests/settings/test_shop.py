from zoneinfo import ZoneInfo

import pytest
import yaml

from recsys_tasks.errors import SettingsError
from recsys_tasks.settings import Settings, load_settings


def test_a_shop_is_read_whole(shop):
    settings = load_settings(shop)
    assert (settings.name, settings.zone, settings.towers.epochs) == ("tents", ZoneInfo("Europe/Berlin"), 5)
    assert settings.night("2026-02-03").gate_days == settings.gate.days


def test_a_setting_reads_the_same_from_yaml_and_from_a_dump(shop):
    settings = load_settings(shop)
    again = Settings(**yaml.safe_load(yaml.safe_dump(settings.model_dump(mode="json"))))
    assert again == settings


def test_a_classifier_whose_feature_is_left_out_is_refused(shop, monkeypatch):
    monkeypatch.setenv("RECSYS_CLASSIFIER", '{"enabled": true}')
    monkeypatch.setenv("RECSYS_RANKER", '{"without_features": ["classifier"]}')
    with pytest.raises(SettingsError, match=r"ranker\.without_features leaves out"):
        load_settings(shop)
