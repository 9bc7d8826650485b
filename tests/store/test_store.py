"""The store as the rest of the house sees it."""

import json

from recsys_tasks.store.store import open_store
from tests.store.builders import candidate, lists


def test_status_is_json(store):
    assert json.loads(json.dumps(store.status()))["live"] is None
    store.publish(candidate(fallback_share=0.5), [lists()])
    assert json.loads(json.dumps(store.status()))["live"] == {
        "generation": 1,
        "night": "2026-03-02",
        "users": 2,
        "rows": 6,
        "fallback_share": 0.5,
        "model": "model of 2026-03-02",
    }


def test_a_password_is_shown_nowhere(fresh_postgres_url, monkeypatch, tmp_path):
    monkeypatch.setenv("SHOP_DATABASE", fresh_postgres_url.replace("postgres@", "postgres:s3cret@"))
    store = open_store("SHOP_DATABASE", tmp_path)
    assert "s3cret" not in f"{store!r} {store.engine!r} {store.status()}"
    assert store.status()["database"].startswith("postgresql+psycopg://postgres@/")


def test_opening_again_finds_what_was_published(store, database, tmp_path):
    store.publish(candidate(), [lists()])
    assert open_store(database, tmp_path).live().rows == 6


def test_the_embedded_database_is_started_when_needed(postgres_folder):
    store = open_store("embedded", postgres_folder)
    assert store.live() is None
    assert str(postgres_folder) in store.status()["database"].replace("%2F", "/")
