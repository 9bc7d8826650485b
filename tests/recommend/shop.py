"""A shop on one screen, and a night model with random towers to look at it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from recsys_tasks.lake.snapshot import EVENT_ORDER, Snapshot
from recsys_tasks.model.towers import TowerFacts, TowerModel, TowerTensors
from recsys_tasks.model.vectors import TextVectors
from recsys_tasks.recommend.context import Context
from recsys_tasks.recommend.night_model import NightModel
from recsys_tasks.recommend.ranker import Ranker
from recsys_tasks.recommend.shoppers import Shoppers
from recsys_tasks.schema import Catalogue, Events
from recsys_tasks.settings import RankerSettings, RuleSettings

NIGHT_END = datetime(2026, 3, 2, tzinfo=UTC)
WEIGHTS = {"purchase": 1.0, "view": 0.2, "cart": 0.5, "wish": 0.3}
TARGETS = ["purchase"]
DIM, TEXT_DIM = 4, 6


def log(*rows: tuple[str, str, str, float]) -> pl.DataFrame:
    """Rows of (shopper, item, event type, days before the night's end)."""
    named = [
        {"user_id": u, "item_id": i, "event_type": t, "occurred_at": NIGHT_END - timedelta(days=d)}
        for u, i, t, d in rows
    ]
    fields = {name: column.dtype for name, column in Events.columns().items()}
    return pl.DataFrame(named, schema=fields).sort(EVENT_ORDER)


def bought(shopper: str, item: str, *days: float) -> list[tuple[str, str, str, float]]:
    return [(shopper, item, "purchase", day) for day in days]


def catalogue(*items: str, **columns: list) -> pl.DataFrame:
    """Proven products; ``columns`` replace what is given."""
    fields = {name: column.dtype for name, column in Catalogue.columns().items()}
    rows = [
        {"item_id": i, "kind": "product", "title": f"the {i}", "text": i, "category": i[0], "proven": True}
        for i in items
    ]
    return pl.DataFrame(rows, schema=fields).with_columns(
        *(pl.Series(name, values, dtype=fields[name]) for name, values in columns.items())
    )


def snapshot(events: pl.DataFrame, items: pl.DataFrame, days_ago: float = 0) -> Snapshot:
    as_of = NIGHT_END - timedelta(days=days_ago)
    return Snapshot(as_of, events.filter(pl.col("occurred_at") < as_of), items.sort("item_id"))


def context(
    events: pl.DataFrame, items: pl.DataFrame, days_ago: float = 0, targets: Sequence[str] = TARGETS, **rules
) -> Context:
    return Context.open(snapshot(events, items, days_ago), RuleSettings(**rules), WEIGHTS, targets)


def shoppers(of: Context, *ids: str) -> Shoppers:
    return Shoppers(of, pl.Series(ids, dtype=pl.String))


def lively_log(shoppers: int = 30, items: int = 40, days: int = 90, seed: int = 1) -> pl.DataFrame:
    """Shoppers with staples of their own, taken again and again, and a new item now and then."""
    rng = np.random.default_rng(seed)
    rows = []
    for shopper in range(shoppers):
        staples = rng.choice(items, size=3, replace=False)
        for day in range(int(rng.integers(1, 6)), days, 5):
            for item in {*rng.choice(staples, size=2), *rng.choice(items, size=1)}:
                rows.append((f"u{shopper:02}", f"i{item:02}", "purchase", day + float(rng.random())))
    return log(*rows)


def lively_items(items: int = 40) -> pl.DataFrame:
    return catalogue(*(f"i{item:02}" for item in range(items)), category=[f"c{n % 5}" for n in range(items)])


def lively(days_ago: float = 0, **rules) -> Context:
    return context(lively_log(), lively_items(), days_ago, **rules)


def vectors(items: pl.DataFrame, seed: int = 3) -> TextVectors:
    rows = np.random.default_rng(seed).normal(size=(len(items), TEXT_DIM)).astype(np.float32)
    return TextVectors(items["item_id"].sort(), rows / np.linalg.norm(rows, axis=1, keepdims=True))


def towers(items: pl.DataFrame, seed: int = 5) -> TowerModel:
    """Random towers over the whole catalogue, with one half-life."""
    rng, ids = np.random.default_rng(seed), items["item_id"].sort()

    def random(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    tensors = TowerTensors(
        ids=random(len(ids), DIM),
        text=random(TEXT_DIM, DIM),
        user_weight=random(DIM, DIM),
        user_bias=random(DIM),
        gains=np.float32([0.2]),
        scale=np.float32([2.0]),
        warm_text=vectors(items).matrix.astype(np.float16),
        warm_ids=random(len(ids), DIM),
    )
    facts = TowerFacts(
        half_lives_days=[30.0],
        history_events=50,
        popularity_days=[7],
        similarity="dot",
        event_weights=WEIGHTS,
        until=NIGHT_END.isoformat(),
        new_popularity=1.5,
    )
    return TowerModel(facts, ids, tensors)


def night_model(items: pl.DataFrame, ranker: Ranker | None = None, **settings) -> NightModel:
    chosen = RankerSettings(**({"per_source": 8, "history_items": 20, "trees": 20} | settings))
    return NightModel("towers/2026-03-01/abc", towers(items), vectors(items), ranker, chosen)
