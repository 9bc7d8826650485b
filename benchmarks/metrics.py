"""
What lists are worth: a row a shopper, and how a whole set of lists spreads over the catalogue.

Full ranking, nothing sampled. Recall@k is hits / min(k, relevant); NDCG is binary (Järvelin and Kekäläinen, 2002);
MAP@12 is the mean of the precisions at the hits over min(12, relevant); HR@10 is whether there is a hit.
"""

import numpy as np
import polars as pl

RECALL_AT = (10, 20, 50)
NDCG_AT, MAP_AT, HR_AT, SPREAD_AT = 10, 12, 10, 10
METRICS = (*(f"Recall@{k}" for k in RECALL_AT), f"NDCG@{NDCG_AT}", f"MAP@{MAP_AT}", f"HR@{HR_AT}")
COVERAGE, GINI = f"coverage@{SPREAD_AT}", f"Gini@{SPREAD_AT}"
# Lists are made this long.
LENGTH = max(*RECALL_AT, NDCG_AT, MAP_AT, HR_AT, SPREAD_AT)


def scores(lists: pl.DataFrame, targets: pl.DataFrame) -> pl.DataFrame:
    """
    The scores of each shopper in ``targets``: user_id and METRICS (Float64), by user_id.

    ``lists`` has user_id, item_id and rank (from 1); ``targets`` has user_id and item_id, the relevant items. A shopper
    without a list scores 0.
    """
    wanted = targets.select("user_id", "item_id").unique()
    relevant = wanted.group_by("user_id").agg(n=pl.len().cast(pl.Int64)).sort("user_id")
    found = (
        lists.lazy()
        .select("user_id", "item_id", pl.col("rank").cast(pl.Int64))
        .join(wanted.lazy(), on=["user_id", "item_id"])
        .sort("user_id", "rank")
        .with_columns(place=pl.int_range(1, pl.len() + 1).over("user_id"))
        .group_by("user_id", maintain_order=True)
        .agg(*_sums())
        .collect()
    )
    joined = relevant.join(found, on="user_id", how="left", maintain_order="left").fill_null(0)
    return joined.with_columns(ideal=_ideal(joined["n"])).select("user_id", *_metrics())


def _sums() -> list[pl.Expr]:
    rank = pl.col("rank")
    return [
        *((rank <= k).sum().cast(pl.Int64).alias(f"hits{k}") for k in RECALL_AT),
        (rank <= HR_AT).any().cast(pl.Float64).alias("hit"),
        (1 / (rank + 1).log(2)).filter(rank <= NDCG_AT).sum().alias("gain"),
        (pl.col("place") / rank).filter(rank <= MAP_AT).sum().alias("precisions"),
    ]


def _metrics() -> list[pl.Expr]:
    n = pl.col("n")
    return [
        *((pl.col(f"hits{k}") / n.clip(upper_bound=k)).alias(f"Recall@{k}") for k in RECALL_AT),
        (pl.col("gain") / pl.col("ideal")).alias(f"NDCG@{NDCG_AT}"),
        (pl.col("precisions") / n.clip(upper_bound=MAP_AT)).alias(f"MAP@{MAP_AT}"),
        pl.col("hit").alias(f"HR@{HR_AT}"),
    ]


def _ideal(relevant: pl.Series) -> pl.Series:
    """The gain of a list that begins with everything relevant."""
    best = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, NDCG_AT + 2)))])
    return pl.Series(best[np.minimum(relevant.to_numpy(), NDCG_AT)])


def spread(lists: pl.DataFrame, offered: pl.Series) -> dict[str, float]:
    """
    Coverage@10, the share of the offered items that stand in anybody's first 10, and the Gini index of how often.

    Gini is 0 where every offered item is shown equally often, near 1 where a few items fill all lists.
    """
    shown = lists.filter(pl.col("rank") <= SPREAD_AT).group_by("item_id").agg(times=pl.len())
    counts = np.zeros(len(offered))
    times = np.sort(shown["times"].to_numpy())
    counts[len(offered) - len(times) :] = times
    return {COVERAGE: len(times) / max(len(offered), 1), GINI: gini(counts)}


def gini(ascending: np.ndarray) -> float:
    """The Gini index of sorted counts (n,); 0 where there is nothing to share."""
    n, total = len(ascending), float(ascending.sum())
    if n == 0 or total == 0:
        return 0.0
    return float(2 * (np.arange(1, n + 1) * ascending).sum() / (n * total) - (n + 1) / n)


def shares(lists: pl.DataFrame, targets: pl.DataFrame, items: pl.Series) -> dict[str, float]:
    """How much of the first 10 of all lists, and of the hits among them, are ``items``: two shares (0 of nothing)."""
    top = lists.filter(pl.col("rank") <= SPREAD_AT).select("user_id", "item_id")
    hits = top.join(targets.select("user_id", "item_id").unique(), on=["user_id", "item_id"])
    return {
        f"impressions@{SPREAD_AT}": _share(top["item_id"], items),
        f"hits@{SPREAD_AT}": _share(hits["item_id"], items),
    }


def _share(rows: pl.Series, items: pl.Series) -> float:
    return float(rows.is_in(items.implode()).mean() or 0.0)  # type: ignore[arg-type]
