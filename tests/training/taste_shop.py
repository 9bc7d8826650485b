"""A toy shop with two tastes: half the shoppers take only garden items, half only kitchen items."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from recsys_tasks.lake.snapshot import Snapshot
from recsys_tasks.model.vectors import TextVectors
from recsys_tasks.schema import Examples
from recsys_tasks.settings import TowerSettings

UNTIL = datetime(2026, 3, 1, tzinfo=UTC)
PER_TASTE, SHOPPERS, TEXT_DIM = 20, 60, 8
# The last item of each taste is one that nobody takes.
ITEMS = sorted(f"{taste}{n:02}" for taste in "gk" for n in range(PER_TASTE + 1))
WEIGHTS = {"purchase": 1.0}
SMALL = TowerSettings(
    dim=8,
    epochs=6,
    warm_epochs=1,
    batch_examples=32,
    learning_rate=0.02,
    history_events=50,
    negatives=64,
    popularity_days=[7, 28],
)


def taste_of(shopper: int) -> str:
    return "gk"[shopper % 2]


def log(seed: int = 1, days: int = 90) -> pl.DataFrame:
    """A purchase every other day or so, until a week after UNTIL."""
    rng = np.random.default_rng(seed)
    rows = [
        (
            f"c{shopper:02}",
            f"{taste_of(shopper)}{rng.integers(PER_TASTE):02}",
            UNTIL + timedelta(days=7 - back),
        )
        for shopper in range(SHOPPERS)
        for back in range(shopper % 2, days, 2)
    ]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "occurred_at"], orient="row")
    return frame.select(
        "user_id",
        "item_id",
        pl.lit("purchase").alias("event_type"),
        pl.col("occurred_at").cast(pl.Datetime("us", "UTC")),
    ).sort("occurred_at", "user_id", "item_id", "event_type")


def snapshot(events: pl.DataFrame | None = None, as_of: datetime = UNTIL) -> Snapshot:
    events = log() if events is None else events
    names = {"g": "garden", "k": "kitchen"}
    items = pl.DataFrame({"item_id": ITEMS}).with_columns(
        category=pl.col("item_id").str.head(1).replace_strict(names), brand=pl.lit(None, pl.String)
    )
    return Snapshot(as_of, events.filter(pl.col("occurred_at") < as_of), items)


def examples(events: pl.DataFrame | None = None, until: datetime = UNTIL, weeks: int = 8) -> pl.DataFrame:
    """One example a shopper and week: what was taken in the two weeks that follow."""
    events = log() if events is None else events
    frames = []
    for week in range(2, 2 + weeks):
        cut = until - timedelta(days=7 * week)
        old = events.filter(pl.col("occurred_at") < cut).select("user_id", "item_id").unique()
        taken = events.filter(pl.col("occurred_at") >= cut, pl.col("occurred_at") < cut + timedelta(days=14))
        frames.append(
            taken.group_by("user_id", "item_id")
            .agg(pl.col("occurred_at").max())
            .join(old.with_columns(is_new=False), on=["user_id", "item_id"], how="left")
            .sort("user_id", "item_id")
            .group_by("user_id", maintain_order=True)
            .agg(
                pl.lit(cut, pl.Datetime("us", "UTC")).first().alias("history_until"),
                pl.col("item_id").alias("positive_ids"),
                pl.col("occurred_at").max().alias("positives_until"),
                pl.col("is_new").fill_null(True),
            )
        )
    return Examples.validate(pl.concat(frames), cast=True)


def vectors() -> TextVectors:
    """Text tells the taste, and little else."""
    rows = np.random.default_rng(5).normal(size=(len(ITEMS), TEXT_DIM)) * 0.3
    rows[:, 0] += [1.0 if item[0] == "g" else -1.0 for item in ITEMS]
    return TextVectors(
        pl.Series(ITEMS), (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    )
