import pytest

from tests.settings.builders import SHOP, edited, line_of, refusal


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
