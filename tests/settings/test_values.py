import pytest

from recsys_tasks.settings import load_settings
from tests.settings.builders import edited, refusal

SECRET = "hunter2"


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
