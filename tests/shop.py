"""
A generated shop of a few hundred shoppers, small enough for a whole night in a test.

Shoppers belong to a taste (a third of the items each), buy a few staples again and again and try items of their
taste now and then; a few items sell to everybody. So every part has something to find: repeat purchase, taste,
popularity. New items are launched along the way, and some shoppers come late.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import yaml

TASTES = ("garden", "kitchen", "workshop")
THINGS = {
    "garden": ("spade", "rake", "seed", "hose", "glove", "pot", "trellis", "shears"),
    "kitchen": ("pan", "knife", "whisk", "bowl", "kettle", "apron", "grater", "ladle"),
    "workshop": ("drill", "saw", "clamp", "chisel", "sander", "vice", "nail", "plane"),
}
COLOURS = ("red", "blue", "green", "white", "black")
FIRST_DAY = date(2026, 1, 5)


@dataclass(frozen=True)
class Shop:
    """Where the generated shop lies and which nights it can build."""

    folder: Path
    file: Path
    first: date
    last: date

    def night(self, before_last: int = 0) -> str:
        return (self.last - timedelta(days=before_last)).isoformat()


def make_shop(
    folder: Path,
    *,
    encoder: Path,
    shoppers: int = 200,
    days: int = 100,
    database: str = "sqlite:///serve.db",
    seed: int = 7,
    **overrides: object,
) -> Shop:
    """Write log, catalogue and shop.yaml; ``overrides`` replace whole sections of shop.yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    items = catalogue()
    items.write_csv(folder / "items.csv")
    log_of(items, shoppers, days, rng).write_csv(folder / "log.csv", datetime_format="%Y-%m-%dT%H:%M:%S")
    file = folder / "shop.yaml"
    file.write_text(
        yaml.safe_dump(settings(encoder, database) | overrides, sort_keys=False), encoding="utf-8"
    )
    return Shop(folder, file, FIRST_DAY, FIRST_DAY + timedelta(days=days - 1))


def catalogue() -> pl.DataFrame:
    rows = [
        (f"{taste[0]}{n:02d}", f"{colour} {thing}", taste, 5.0 + n % 7)
        for taste in TASTES
        for n, (thing, colour) in enumerate((t, c) for t in THINGS[taste] for c in COLOURS)
    ]
    return pl.DataFrame(rows, schema=["sku", "name", "department", "price"], orient="row")


def log_of(items: pl.DataFrame, shoppers: int, days: int, rng: np.random.Generator) -> pl.DataFrame:
    """Purchases at whole minutes, in the order of time."""
    by_taste = {taste: items.filter(pl.col("department") == taste)["sku"].to_list() for taste in TASTES}
    bestsellers = items["sku"].to_list()[::17]
    rows = [
        row
        for shopper in range(shoppers)
        for row in _visits(shopper, by_taste[TASTES[shopper % 3]], bestsellers, days, rng)
    ]
    return pl.DataFrame(rows, schema=["customer", "sku", "kind", "at", "paid"], orient="row").sort(
        "at", "customer", "sku"
    )


def _visits(
    shopper: int, taste: list[str], bestsellers: list[str], days: int, rng: np.random.Generator
) -> list[tuple[str, str, str, datetime, float]]:
    staples = rng.choice(taste, size=3, replace=False)
    begins = int(rng.integers(0, days // 2)) if shopper % 4 == 0 else 0
    midnight = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC)
    rows = []
    for day in range(begins + int(rng.integers(0, 6)), days, 6):
        at = midnight + timedelta(days=day, minutes=int(rng.integers(8 * 60, 20 * 60)))
        basket = {str(rng.choice(staples)), str(rng.choice(taste)), str(rng.choice(bestsellers))}
        rows += [(f"c{shopper:04d}", sku, "sale", at, 9.5) for sku in sorted(basket)]
    return rows


def settings(encoder: Path, database: str) -> dict[str, object]:
    """Sections sized for seconds, with everything switched on."""
    return {
        "name": "generated",
        "home": "home",
        "database": database,
        "time_zone": "UTC",
        "first_night": FIRST_DAY.isoformat(),
        "top_k": 10,
        "sources": {
            "events": {
                "kind": "csv",
                "path": "log.csv",
                "columns": {
                    "user_id": "customer",
                    "item_id": "sku",
                    "event_type": "kind",
                    "occurred_at": "at",
                    "value": "paid",
                },
                "event_types": {"sale": "purchase"},
            },
            "items": {
                "kind": "csv",
                "path": "items.csv",
                "columns": {"item_id": "sku", "category": "department", "price": "price"},
                "text": "{name} for the {department}",
                "title": "{name}",
            },
        },
        "pairs": {"max_pairs": 5000, "target_days": 14},
        "encoder": {
            "base": str(encoder),
            "steps": 6,
            "batch_texts": 16,
            "sampled_negatives": 32,
            "max_tokens": 16,
            "frozen_layers": 1,
            "trackers": [],
        },
        "towers": {"dim": 16, "epochs": 3, "warm_epochs": 1, "batch_examples": 64, "negatives": 64},
        "ranker": {"days": 14, "trees": 20, "per_source": 30, "history_items": 40},
        "gate": {"resamples": 200},
    }
