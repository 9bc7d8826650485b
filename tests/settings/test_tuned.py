import pytest

from recsys_tasks.settings import load_settings
from recsys_tasks.settings.contrast import Moco
from tests.settings.builders import edited, refusal

TUNED = """\
encoder:
  learning_rate: 0.0001
  objective: pairs
  contrast: {objective: moco}
pairs:
  negatives: {uniform: 0.25, popular: 0.75}
"""


def tuned(shop, text=TUNED):
    (shop.parent / "best.yaml").write_text(text)
    return edited(
        shop,
        "towers:",
        "tuned: best.yaml\nencoder: {steps: 7, learning_rate: 0.5}\npairs: {followers: 2}\ntowers:",
    )


def test_what_a_search_found_wins_over_the_shop_setting_by_setting(shop):
    settings = load_settings(tuned(shop))
    assert (settings.encoder.learning_rate, settings.encoder.steps) == (0.0001, 7)
    assert settings.encoder.contrast == Moco()
    assert (settings.pairs.negatives.uniform, settings.pairs.followers) == (0.25, 2)


def test_the_environment_wins_over_what_a_search_found(shop, monkeypatch):
    monkeypatch.setenv("RECSYS_ENCODER__LEARNING_RATE", "0.25")
    assert load_settings(tuned(shop)).encoder.learning_rate == 0.25


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("0.0001", "many", "best.yaml:2: encoder.learning_rate"),
        ("uniform", "unifrom", "best.yaml:6: pairs.negatives.unifrom: unknown key"),
        ("pairs:", "towers:", "best.yaml:5: towers: unknown key"),
        ("objective: pairs", "steps: 3", "best.yaml:1: encoder: contrast says what pairs teach"),
    ],
)
def test_a_fault_in_what_a_search_found_is_told_with_that_files_line(shop, old, new, told):
    assert told in refusal(tuned(shop, TUNED.replace(old, new, 1)))


def test_what_a_search_found_and_is_gone_is_named(shop, tmp_path):
    told = refusal(edited(shop, "towers:", "tuned: gone.yaml\ntowers:"))
    assert f"tuned: no such file: {tmp_path}/gone.yaml" in told


def test_the_environment_may_name_the_tuned_file(shop, monkeypatch):
    (shop.parent / "found.yaml").write_text("encoder: {steps: 11}\n")
    monkeypatch.setenv("RECSYS_TUNED", "found.yaml")
    assert load_settings(shop).encoder.steps == 11
