"""One vector an item, found by item_id."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from safetensors.numpy import load_file, save_file

from recsys_tasks.errors import DataError
from recsys_tasks.model.arrays import Floats, Positions

ITEMS = "items.parquet"
VECTORS = "vectors.safetensors"


class TextVectors:
    """
    The text vectors of a catalogue.

    ``item_ids`` is a sorted, distinct String series of n ids named ``item_id``. ``matrix`` holds one row an item,
    (n, d); or, with ``text_rows`` (n,), one row a distinct text, and which of them is an item's: items with equal
    texts then share a row, so that 92 k products need 21 k rows.
    """

    def __init__(self, item_ids: pl.Series, matrix: Floats, text_rows: Positions | None = None) -> None:
        self.item_ids = item_ids.alias("item_id")
        self.texts = np.ascontiguousarray(matrix, dtype=np.float32)
        self.text_rows = np.arange(len(item_ids)) if text_rows is None else text_rows
        if self.item_ids.n_unique() != len(item_ids) or not self.item_ids.is_sorted():
            raise DataError("the item ids of text vectors must be sorted and distinct")
        if len(item_ids) != len(self.text_rows) or (text_rows is None and len(item_ids) != len(matrix)):
            raise DataError(f"text vectors of {len(item_ids)} items have {len(matrix)} rows")

    @property
    def dim(self) -> int:
        return int(self.texts.shape[1])

    @cached_property
    def matrix(self) -> Floats:
        """One row an item, (n, d)."""
        return self.texts[self.text_rows]

    def of(self, item_ids: Sequence[str] | pl.Series) -> Floats:
        """The rows of these items, (len, d); an item without a vector gets zeros."""
        rows = self.text_rows_of(item_ids)
        if not len(self.texts):
            return np.zeros((len(rows), self.dim), np.float32)
        found = self.texts[rows]
        found[rows < 0] = 0
        return found

    def text_rows_of(self, item_ids: Sequence[str] | pl.Series) -> Positions:
        """Which row of ``texts`` each item has; -1 where it has none."""
        wanted = pl.Series("item_id", item_ids, dtype=pl.String)
        table = pl.DataFrame({"item_id": self.item_ids, "row": self.text_rows})
        found = wanted.to_frame().join(table, on="item_id", how="left", maintain_order="left")
        return found["row"].fill_null(-1).to_numpy().astype(np.int64)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        table = pl.DataFrame({"item_id": self.item_ids, "text_row": self.text_rows})
        table.write_parquet(folder / ITEMS)
        save_file({"texts": np.ascontiguousarray(self.texts)}, folder / VECTORS)

    @classmethod
    def load(cls, folder: Path) -> "TextVectors":
        table = pl.read_parquet(folder / ITEMS)
        texts = load_file(folder / VECTORS)["texts"]
        return cls(table["item_id"], texts, table["text_row"].to_numpy().astype(np.int64))
