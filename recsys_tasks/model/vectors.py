"""One vector an item, found by item_id."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from safetensors.numpy import load_file, save_file

from recsys_tasks.errors import DataError
from recsys_tasks.model.arrays import Floats, Positions
from recsys_tasks.model.similarity import Sides

ITEMS = "items.parquet"
VECTORS = "vectors.safetensors"


class TextVectors:
    """
    The text vectors of a catalogue.

    ``item_ids`` is a sorted, distinct String series of n ids named ``item_id``. ``matrix`` holds one row an item,
    (n, d); or, with ``text_rows`` (n,), one row a distinct text, and which of them is an item's: items with equal
    texts then share a row, so that 92 k products need 21 k rows. ``sides``, a row a text too, are there where the
    encoder compares a query with an item by anything but the cosine of these vectors.
    """

    def __init__(
        self,
        item_ids: pl.Series,
        matrix: Floats,
        text_rows: Positions | None = None,
        sides: Sides | None = None,
    ) -> None:
        self.item_ids = item_ids.alias("item_id")
        self.texts = np.ascontiguousarray(matrix, dtype=np.float32)
        self.text_rows = np.arange(len(item_ids)) if text_rows is None else text_rows
        self.sides = sides
        if self.item_ids.n_unique() != len(item_ids) or not self.item_ids.is_sorted():
            raise DataError("the item ids of text vectors must be sorted and distinct")
        if len(item_ids) != len(self.text_rows) or (text_rows is None and len(item_ids) != len(matrix)):
            raise DataError(f"text vectors of {len(item_ids)} items have {len(matrix)} rows")
        if sides is not None and not len(sides.asked) == len(sides.offered) == len(matrix):
            raise DataError(
                f"{len(matrix)} texts have {len(sides.asked)} and {len(sides.offered)} rows to compare"
            )

    @property
    def dim(self) -> int:
        return int(self.texts.shape[1])

    @cached_property
    def matrix(self) -> Floats:
        """One row an item, (n, d)."""
        return self.texts[self.text_rows]

    def of(self, item_ids: Sequence[str] | pl.Series) -> Floats:
        """The rows of these items, (len, d); an item without a vector gets zeros."""
        return _picked(self.texts, self.text_rows_of(item_ids))

    def sides_of(self, item_ids: Sequence[str] | pl.Series) -> Sides:
        """The rows of these items as they ask and as they are offered; an item without a vector gets zeros."""
        if self.sides is None:
            same = self.of(item_ids)
            return Sides(same, same)
        rows = self.text_rows_of(item_ids)
        return Sides(_picked(self.sides.asked, rows), _picked(self.sides.offered, rows))

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
        tables = {"texts": self.texts, **({} if self.sides is None else self.sides._asdict())}
        save_file({name: np.ascontiguousarray(table) for name, table in tables.items()}, folder / VECTORS)

    @classmethod
    def load(cls, folder: Path) -> "TextVectors":
        table = pl.read_parquet(folder / ITEMS)
        tables = load_file(folder / VECTORS)
        texts = tables.pop("texts")
        rows = table["text_row"].to_numpy().astype(np.int64)
        return cls(table["item_id"], texts, rows, Sides(**tables) if tables else None)


def _picked(table: Floats, rows: Positions) -> Floats:
    """Rows of the table; zeros for -1."""
    if not len(table):
        return np.zeros((len(rows), table.shape[1]), np.float32)
    found = table[rows]
    found[rows < 0] = 0
    return found
