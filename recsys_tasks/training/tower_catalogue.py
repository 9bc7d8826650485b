"""Text and attributes of the items that training sees."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_tasks.model.tower_parts import ATTRIBUTES
from recsys_tasks.model.vectors import TextVectors

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Catalogue:
    """Text and attributes of the vocabulary; equal texts once."""

    texts: Floats
    """(R, T) distinct text vectors."""
    text_codes: Ints
    """(V,)"""
    attribute_values: dict[str, list[str]]
    attribute_codes: dict[str, Ints]
    """(V,) each; 0 is unknown."""

    @classmethod
    def of(cls, item_ids: pl.Series, items: pl.DataFrame, vectors: TextVectors) -> "Catalogue":
        texts, codes = _distinct_texts(item_ids, vectors)
        wanted = pl.DataFrame({"item_id": item_ids})
        known = wanted.join(
            items.select("item_id", *ATTRIBUTES), on="item_id", how="left", maintain_order="left"
        )
        values = {name: known[name].drop_nulls().unique().sort().to_list() for name in ATTRIBUTES}
        return cls(texts, codes, values, {name: _coded(known[name], values[name]) for name in ATTRIBUTES})


def _distinct_texts(item_ids: pl.Series, vectors: TextVectors) -> tuple[Floats, Ints]:
    """The distinct text vectors of these items, and the row of each item; an item without a text has a zero row."""
    rows = vectors.text_rows_of(item_ids)
    used, codes = np.unique(rows, return_inverse=True)
    return np.where(used[:, None] >= 0, vectors.texts[used], np.float32(0)), codes


def _coded(column: pl.Series, values: list[str]) -> Ints:
    places = pl.Series(np.arange(1, len(values) + 1))
    return column.replace_strict(values, places, default=0, return_dtype=pl.Int64).to_numpy()
