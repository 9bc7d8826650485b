"""A whole small shop.yaml, and what is said of it where it has a fault."""

from pathlib import Path

import pytest

from recsys_tasks.errors import SettingsError
from recsys_tasks.settings import load_settings

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
