"""Small towers with random numbers, and logs to use them on."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from recsys_tasks.model.tower_parts import TowerFacts, TowerTensors, own_parts
from recsys_tasks.model.towers import TowerModel

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
KNOWN = ["cup", "mat", "pan", "tea"]
CATALOGUE = pl.Series("item_id", ["cup", "mat", "new", "pan", "tea"])
DIM, NEAR, TEXT_DIM, WINDOWS = 3, 2, 6, [7, 28]
NEAR_ITEMS = ["cup", "tea"]
HALF_LIVES = [5.0, 50.0]
WEIGHTS = {"view": 1.0, "purchase": 3.0}


def random(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def texts(seed: int = 9) -> np.ndarray:
    """(5, TEXT_DIM) unit text vectors of the catalogue."""
    rows = random(seed, len(CATALOGUE), TEXT_DIM)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def towers(similarity: str = "dot", *, launch_prior: bool = False) -> TowerModel:
    ids, attributes = random(1, len(KNOWN), DIM), {"category": random(2, 3, DIM)}
    codes = {"category": np.array([0, 1, 2, 1])}
    warm = texts()[[0, 1, 3, 4]]
    tensors = TowerTensors(
        ids=ids,
        text=random(3, TEXT_DIM, DIM),
        user_weight=random(4, len(HALF_LIVES) * DIM, DIM),
        user_bias=random(5, DIM),
        item_weight=random(8, DIM, DIM) if similarity == "bilinear" else random(8, 0, 0),
        item_bias=random(10, DIM) if similarity == "bilinear" else random(10, 0),
        gains=np.float32([0.3, 0.9]),
        scale=np.float32([4.0]),
        warm_text=warm.astype(np.float16),
        warm_ids=own_parts(ids, attributes, codes),
        near_codes=np.array([KNOWN.index(item) for item in NEAR_ITEMS]),
        near_texts=np.array([KNOWN.index(item) for item in NEAR_ITEMS]),
        near_given=random(6, len(NEAR_ITEMS), NEAR),
        near_taken=random(7, len(NEAR_ITEMS), NEAR),
        attributes=attributes,
        attribute_codes=codes,
    )
    facts = TowerFacts(
        half_lives_days=HALF_LIVES,
        history_events=4,
        popularity_days=WINDOWS,
        similarity=similarity,
        event_weights=WEIGHTS,
        until=NOON.isoformat(),
        launch_prior=launch_prior,
        near_half_life_days=20.0,
        attribute_values={"category": ["food", "ware"]},
    )
    return TowerModel(facts, pl.Series("item_id", KNOWN), tensors)


def log(*rows: tuple[str, str, str, float]) -> pl.DataFrame:
    """Rows of (user, item, event type, days before noon), in the total order."""
    return pl.DataFrame(
        [(u, i, t, NOON - timedelta(days=d)) for u, i, t, d in rows],
        schema={
            "user_id": pl.String,
            "item_id": pl.String,
            "event_type": pl.String,
            "occurred_at": pl.Datetime("us", "UTC"),
        },
        orient="row",
    ).sort("occurred_at", "user_id", "item_id", "event_type")
