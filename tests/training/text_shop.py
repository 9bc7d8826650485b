"""A shop for the encoder: shoppers with a taste buy things of their taste, week after week, something new each time."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from recsys_tasks.schema import Negatives, Pairs
from recsys_tasks.training.encoder_data import Source, as_texts

START = datetime(2026, 1, 5, tzinfo=UTC)
WEEKS = 20
CUT = START + timedelta(weeks=16)
WEIGHTS = {"purchase": 1.0}
TASTES = ("garden", "kitchen")
THINGS = ("red", "blue", "green", "big", "small", "old", "new", "fine", "tin", "oak", "flat", "round")
WORDS = (*TASTES, *THINGS)


def catalogue() -> pl.DataFrame:
    rows = [(f"{taste[0]}{n:02d}", f"{taste} {thing}") for taste in TASTES for n, thing in enumerate(THINGS)]
    return pl.DataFrame(rows, schema=["item_id", "text"], orient="row").sort("item_id")


def events(shoppers: int = 40, seed: int = 0) -> pl.DataFrame:
    """One purchase a week each, of the shopper's taste; in the order of time."""
    rng = np.random.default_rng(seed)
    rows = [
        (
            f"u{shopper:03d}",
            f"{TASTES[shopper % 2][0]}{rng.integers(len(THINGS)):02d}",
            "purchase",
            week,
            minute,
        )
        for shopper in range(shoppers)
        for week, minute in enumerate(rng.integers(0, 10_000, size=WEEKS))
    ]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "event_type", "week", "minute"], orient="row")
    at = pl.lit(START) + pl.duration(weeks=pl.col("week"), minutes=pl.col("minute"))
    return frame.select(
        "user_id", "item_id", "event_type", occurred_at=at.cast(pl.Datetime("us", "UTC"))
    ).sort("occurred_at", "user_id", "item_id")


def examples(log: pl.DataFrame) -> pl.DataFrame:
    """One a shopper and two weeks: what was bought in the two weeks that follow."""
    frames = []
    for week in range(2, WEEKS - 1, 2):
        begin, end = START + timedelta(weeks=week), START + timedelta(weeks=week + 2)
        known = log.filter(pl.col("occurred_at") < begin).select("user_id", "item_id").unique()
        taken = log.filter(pl.col("occurred_at") >= begin, pl.col("occurred_at") < end)
        new = taken.join(known.with_columns(is_new=False), on=["user_id", "item_id"], how="left")
        frames.append(
            new.with_columns(pl.col("is_new").fill_null(True))
            .sort("user_id", "item_id")
            .group_by("user_id", maintain_order=True)
            .agg(positive_ids="item_id", positives_until=pl.col("occurred_at").max(), is_new="is_new")
            .with_columns(history_until=pl.lit(begin).cast(pl.Datetime("us", "UTC")))
        )
    return pl.concat(frames).select("user_id", "history_until", "positive_ids", "positives_until", "is_new")


def pairs(log: pl.DataFrame) -> pl.DataFrame:
    """Every purchase and the shopper's next one."""
    following = log.sort("user_id", "occurred_at").with_columns(
        anchor_id="item_id",
        positive_id=pl.col("item_id").shift(-1).over("user_id"),
        until=pl.col("occurred_at").shift(-1).over("user_id"),
    )
    return (
        following.drop_nulls("positive_id")
        .filter(pl.col("anchor_id") != pl.col("positive_id"))
        .select("user_id", "anchor_id", "positive_id", weight=pl.lit(1.0, pl.Float32), occurred_at="until")
        .unique(["user_id", "anchor_id", "positive_id"], keep="first", maintain_order=True)
    )


def negatives(found: pl.DataFrame) -> pl.DataFrame:
    """Two things of the other taste for every anchor."""
    other = pl.when(pl.col("anchor_id").str.starts_with("g")).then(pl.lit("k")).otherwise(pl.lit("g"))
    return pl.concat(
        found.select("user_id", "anchor_id", negative_id=other + pl.lit(number)) for number in ("03", "07")
    ).unique(maintain_order=True)


def source(
    log: pl.DataFrame | None = None, *, items: pl.DataFrame | None = None, with_pairs: bool = False
) -> Source:
    log = events() if log is None else log
    items = catalogue() if items is None else items
    found = pairs(log) if with_pairs else Pairs.create_empty()
    return Source(
        events=as_texts(log, items),
        items=items,
        pairs=found,
        negatives=negatives(found) if with_pairs else Negatives.create_empty(),
        examples=examples(log),
    )
