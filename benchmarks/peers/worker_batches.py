"""How the worker cuts long histories and groups them by length."""

from collections.abc import Iterator

import numpy as np
import polars as pl
import torch


def pieces(events: pl.DataFrame, length: int, users: int) -> pl.DataFrame:
    """
    Histories of ``events`` (user, item, weight; oldest first) in pieces of at most ``length`` events.

    Counted from a history's end: its last piece, the one that lists are made from, keeps the user's position;
    older ones are as if of further users, numbered from ``users`` on.
    """
    from_end = pl.int_range(pl.len()).reverse().over("user")
    cut = events.with_columns(piece=from_end // length)
    older = cut.filter(pl.col("piece") > 0).select("user", "piece").unique(maintain_order=True)
    named = older.with_columns(name=pl.int_range(users, users + pl.len(), dtype=pl.Int64))
    return cut.join(named, on=["user", "piece"], how="left", maintain_order="left").select(
        pl.col("name").fill_null(pl.col("user")).alias("user"), "item", "weight"
    )


class Batches:
    """Batches of like length, in a new random order each epoch."""

    def __init__(self, lengths: np.ndarray, size: int, chunk: int = 32) -> None:
        """``lengths`` (S,) of the histories; lengths are sorted within ``chunk`` random batches of ``size``."""
        self.lengths, self.size, self.chunk = lengths, size, chunk

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.size)

    def __iter__(self) -> Iterator[list[int]]:
        order = torch.randperm(len(self.lengths)).numpy()
        span = self.size * self.chunk
        batches = []
        for start in range(0, len(order), span):
            part = order[start : start + span]
            part = part[np.argsort(self.lengths[part], kind="stable")]
            batches += [part[at : at + self.size].tolist() for at in range(0, len(part), self.size)]
        return iter([batches[at] for at in torch.randperm(len(batches)).tolist()])
