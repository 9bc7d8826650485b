"""
Recall and NDCG of lists, a row a shopper.

Recall@k is hits / min(k, relevant), so that a short list can reach 1; NDCG@k is binary (Järvelin and
Kekäläinen, 2002). Shoppers without a relevant item have no score; shoppers without a list score 0.
"""

import numpy as np
import polars as pl


def recall_ndcg(lists: pl.DataFrame, targets: pl.DataFrame, k: int = 10) -> pl.DataFrame:
    """
    The scores of each shopper in ``targets``: user_id, recall, ndcg, hits, relevant; by user_id.

    ``lists`` has user_id, item_id and rank (from 1); ``targets`` has user_id and item_id, the relevant items.
    """
    wanted = targets.select("user_id", "item_id").unique()
    relevant = wanted.group_by("user_id").agg(relevant=pl.len().cast(pl.Int64)).sort("user_id")
    found = (
        lists.filter(pl.col("rank") <= k)
        .select("user_id", "item_id", "rank")
        .join(wanted, on=["user_id", "item_id"])
        .sort("user_id", "rank")
        .group_by("user_id", maintain_order=True)
        .agg(hits=pl.len().cast(pl.Int64), gain=(1 / (pl.col("rank") + 1).log(2)).sum())
    )
    best = pl.Series(np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, k + 2)))]))
    reachable = pl.col("relevant").clip(upper_bound=k)
    return (
        relevant.join(found, on="user_id", how="left", maintain_order="left")
        .with_columns(pl.col("hits", "gain").fill_null(0))
        .with_columns(ideal=best.gather(relevant["relevant"].clip(upper_bound=k)))
        .select(
            "user_id",
            recall=pl.col("hits") / reachable,
            ndcg=pl.col("gain") / pl.col("ideal"),
            hits="hits",
            relevant="relevant",
        )
    )
