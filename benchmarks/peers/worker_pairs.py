"""
The work of `benchmarks.pairs` by a library's own means: what somebody who knows Polars or pandas would write.

Both make the product's rows: they draw negatives with its generator, and look up membership by a join.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

FOLLOWERS, WINDOW = 5, 1440 * 60 * 10**6
MAX_PER_USER, MAX_PER_ITEM = 200, 50
EACH, EXPONENT, ROUNDS, SEED = 4, 0.5, 30, 1
LEARNED = ["purchase", "cart", "view"]

Arrays = dict[str, np.ndarray]


def polars(file: str) -> Arrays:
    events = pl.scan_parquet(file)
    users, items = (events.select(pl.col(c).unique().sort()).collect()[c] for c in ("user_id", "item_id"))
    coded = events.select(
        user=pl.col("user_id").cast(pl.Enum(users)).to_physical(),
        at=pl.col("occurred_at").dt.epoch("us"),
        item=pl.col("item_id").cast(pl.Enum(items)).to_physical(),
        kind=pl.col("event_type").cast(pl.Enum(LEARNED)).to_physical(),
    )
    counts = coded.group_by("item").len().sort("item").collect()["len"].to_numpy()
    history = coded.unique().sort("user", "at", "item", "kind").collect()
    lengths = history.group_by("user").len().sort("user")["len"].to_numpy()
    once = history.lazy().unique(["user", "at", "item"], keep="first", maintain_order=True)
    pairs = _polars_pairs(once)
    touched = history.select("user", "item").unique()

    def own(user: np.ndarray, item: np.ndarray) -> np.ndarray:
        asked = pl.DataFrame({"user": user, "item": item.astype(np.uint32)}).with_row_index()
        return asked.join(touched, on=["user", "item"], how="semi")["index"].to_numpy()

    def repeated(keys: np.ndarray) -> np.ndarray:
        return ~pl.Series(keys).is_first_distinct().to_numpy()

    user, anchor = pairs["user"].to_numpy(), pairs["anchor"].to_numpy()
    group, negative, good = negatives(user, anchor, counts, own, repeated)
    drawn = pl.DataFrame({"group": group[good], "negative": negative[good]}).sort("group", "negative")
    return {
        "starts": np.append(0, np.cumsum(lengths)),
        **{name: history[name].to_numpy() for name in ("user", "at", "item", "kind")},
        **{f"pair {name}": pairs[name].to_numpy() for name in ("user", "anchor", "positive", "at")},
        "negative": drawn["negative"].to_numpy(),
    }


def _polars_pairs(once: pl.LazyFrame) -> pl.DataFrame:
    # Newest first, and of one event's pairs the closer first: both in one number.
    steps = [
        once.select(
            "user",
            anchor=pl.col("item").shift(step),
            positive="item",
            key=pl.col("at") * 8 - step,
            close=(pl.col("user") == pl.col("user").shift(step))
            & (pl.col("item") != pl.col("item").shift(step))
            & (pl.col("at") - pl.col("at").shift(step) <= WINDOW),
        )
        .filter("close")
        .drop("close")
        for step in range(1, FOLLOWERS + 1)
    ]
    return (
        pl.concat(steps)
        .group_by("user", "anchor", "positive")
        .agg(pl.col("key").max())
        .filter(pl.col("key").rank("ordinal", descending=True).over("user") <= MAX_PER_USER)
        .with_columns(at=(pl.col("key") + 7) // 8)
        .sort("at", "user", "anchor", "positive", descending=[True, False, False, False])
        .filter(pl.int_range(pl.len()).over("anchor") < MAX_PER_ITEM)
        .sort("user", "anchor", "positive")
        .collect()
    )


def pandas(file: str) -> Arrays:
    import pandas as pd

    events = pl.read_parquet(file)
    history = pd.DataFrame(
        {
            "user": _pandas_codes(pd, events["user_id"]),
            "at": events["occurred_at"].dt.epoch("us").to_numpy(),
            "item": _pandas_codes(pd, events["item_id"]),
            "kind": _pandas_ids(pd, events["event_type"]).set_categories(LEARNED).codes,
        }
    )
    del events
    counts = np.bincount(history["item"])
    columns = ["user", "at", "item", "kind"]
    history = history.drop_duplicates().sort_values(columns, ignore_index=True)
    once = history.drop_duplicates(["user", "at", "item"])
    pairs = _pandas_pairs(pd, once)
    touched = pd.Index((history["user"].astype("int64") * len(counts) + history["item"]).unique())

    def own(user: np.ndarray, item: np.ndarray) -> np.ndarray:
        return np.flatnonzero(pd.Index(user.astype(np.int64) * len(counts) + item).isin(touched))

    def repeated(keys: np.ndarray) -> np.ndarray:
        return pd.Series(keys).duplicated().to_numpy()

    user, anchor = pairs["user"].to_numpy(), pairs["anchor"].to_numpy()
    group, negative, good = negatives(user, anchor, counts, own, repeated)
    drawn = pd.DataFrame({"group": group[good], "negative": negative[good]})
    drawn = drawn.sort_values(["group", "negative"])
    return {
        "starts": np.append(0, np.cumsum(np.bincount(history["user"]))),
        **{name: history[name].to_numpy() for name in columns},
        **{f"pair {name}": pairs[name].to_numpy() for name in ("user", "anchor", "positive", "at")},
        "negative": drawn["negative"].to_numpy(),
    }


def _pandas_ids(pd: Any, ids: pl.Series) -> Any:
    """A pandas categorical, as its own Parquet reader makes it."""
    number = ids.cast(pl.Categorical(pl.Categories.random()))
    names = number.unique()
    named = pd.Series(names.cast(pl.String).to_list(), index=names.to_physical().to_numpy()).sort_index()
    return pd.Categorical.from_codes(number.to_physical().to_numpy(), named.to_list())


def _pandas_codes(pd: Any, ids: pl.Series) -> np.ndarray:
    """Codes in the order of the ids."""
    found = _pandas_ids(pd, ids)
    return found.reorder_categories(found.categories.sort_values()).codes


def _pandas_pairs(pd: Any, once: Any) -> Any:
    steps = []
    for step in range(1, FOLLOWERS + 1):
        back = once.shift(step)
        close = (
            (once["user"] == back["user"])
            & (once["item"] != back["item"])
            & (once["at"] - back["at"] <= WINDOW)
        )
        found = once.loc[close, ["user", "item", "at"]].rename(columns={"item": "positive"})
        found["anchor"] = back.loc[close, "item"].astype("int64")
        found["key"] = found.pop("at") * 8 - step
        steps.append(found)
    three = ["user", "anchor", "positive"]
    pairs = pd.concat(steps).sort_values("key", ascending=False).drop_duplicates(three)
    pairs = pairs[pairs.groupby("user").cumcount() < MAX_PER_USER]
    pairs = pairs.assign(at=(pairs["key"] + 7) // 8)
    pairs = pairs.sort_values(["at", *three], ascending=[False, True, True, True])
    return pairs[pairs.groupby("anchor").cumcount() < MAX_PER_ITEM].sort_values(three)


def negatives(
    user: np.ndarray,
    anchor: np.ndarray,
    counts: np.ndarray,
    own: Callable[[np.ndarray, np.ndarray], np.ndarray],
    repeated: Callable[[np.ndarray], np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Group, item and whether it is good, of every draw; ``own`` tells the rows that a shopper has touched."""
    generator = np.random.default_rng(SEED)
    until = np.cumsum(counts.astype(np.float64) ** EXPONENT)
    new = np.ones(len(user), dtype=bool)
    new[1:] = (user[1:] != user[:-1]) | (anchor[1:] != anchor[:-1])
    group = np.repeat(np.cumsum(new) - 1, EACH)
    user = np.repeat(user, EACH)
    negative, bad = np.zeros(len(user), dtype=np.int64), np.ones(len(user), dtype=bool)
    for _ in range(ROUNDS):
        again = np.flatnonzero(bad)
        if len(again) == 0:
            break
        dice = generator.random(len(again)) * until[-1]
        negative[again] = np.minimum(np.searchsorted(until, dice, side="right"), len(until) - 1)
        bad[again] = False
        bad[again[own(user[again], negative[again])]] = True
        changed = np.zeros(group[-1] + 1, dtype=bool)
        changed[group[again]] = True
        rows = np.flatnonzero(changed[group])
        bad[rows[repeated(group[rows] * len(counts) + negative[rows])]] = True
    return group, negative, ~bad
