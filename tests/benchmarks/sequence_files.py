"""Files of sequences in either form, as small as a test needs them."""

import numpy as np
import polars as pl

NO_ITEMS = pl.DataFrame({"item_id": [], "text": []}, schema={"item_id": pl.String, "text": pl.String})


def listed(*sequences: list[int]) -> pl.DataFrame:
    """A row a shopper: its items, oldest first."""
    return pl.DataFrame({"user_id": range(len(sequences)), "item_ids": list(sequences)})


def split_rows(*rows: tuple[str, int, str, list[int], int]) -> pl.DataFrame:
    """Rows of (split, number, shopper, history, target)."""
    return pl.DataFrame(rows, schema=["split", "row", "user_id", "history_item_ids", "item_id"], orient="row")


def walks(n: int = 40) -> list[list[int]]:
    """Sequences of two to eight of 30 items."""
    rng = np.random.default_rng(0)
    return [rng.permutation(30)[: rng.integers(2, 9)].tolist() for _ in range(n)]
