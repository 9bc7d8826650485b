"""A shop whose log is a SQLite table, for the steps that fill the lake and look at it."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml

from recsys_tasks.settings import load_settings
from recsys_tasks.steps.job import Job

FIRST = date(2026, 3, 1)
Row = tuple[str | None, str, str]


@dataclass(frozen=True)
class LogShop:
    folder: Path

    @property
    def lake(self) -> Path:
        return self.folder / "home" / "lake"

    def job(self, night: str) -> Job:
        settings = load_settings()
        return Job(settings, settings.night(night))

    def log(self, *rows: Row) -> None:
        """Add purchases as (user, item, UTC time)."""
        self._insert("log", rows)

    def products(self, *rows: tuple[str | None, str]) -> None:
        """Add products as (id, name)."""
        self._insert("products", rows)

    def forget(self, table: str) -> None:
        self._run(f"DELETE FROM {table}", [()])

    def _insert(self, table: str, rows: Iterable[tuple[object, ...]]) -> None:
        rows = list(rows)
        self._run(f"INSERT INTO {table} VALUES ({', '.join('?' for _ in rows[0])})", rows)

    def _run(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        connection = sqlite3.connect(self.folder / "shop.db")
        with connection:
            connection.executemany(statement, rows)
        connection.close()


def make_log_shop(folder: Path, monkeypatch: pytest.MonkeyPatch, **sections: object) -> LogShop:
    """An empty log and catalogue, and the shop.yaml that RECSYS_SHOP then names."""
    connection = sqlite3.connect(folder / "shop.db")
    connection.execute("CREATE TABLE log (who, what, at)")
    connection.execute("CREATE TABLE products (sku, name)")
    connection.close()
    file = folder / "shop.yaml"
    file.write_text(yaml.safe_dump({**SECTIONS, **sections}))
    monkeypatch.setenv("RECSYS_SHOP", str(file))
    return LogShop(folder)


def visits(days: int, users: tuple[str, ...] = ("ann", "bob")) -> list[Row]:
    """Every user buys a tent at noon of each of the first days."""
    noons = [f"{FIRST + timedelta(days=day)} 17:00:00" for day in range(days)]
    return [(user, "tent", noon) for noon in noons for user in users]


SECTIONS = {
    "name": "shop",
    "home": "home",
    "database": "sqlite:///serve.db",
    "time_zone": "America/New_York",
    "first_night": FIRST,
    "sources": {
        "events": {
            "kind": "sql",
            "url": "sqlite:///shop.db",
            "query": "SELECT * FROM log WHERE at >= :start AND at < :end",
            "columns": {"user_id": "who", "item_id": "what", "occurred_at": "at"},
            "event_type": "purchase",
        },
        "items": {
            "kind": "sql",
            "url": "sqlite:///shop.db",
            "query": "SELECT * FROM products",
            "columns": {"item_id": "sku"},
            "text": "{name}",
        },
    },
}
