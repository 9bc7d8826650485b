"""The text of each item: every text column of the items file, joined in the file's order."""

import html
import re

import polars as pl

from recsys_tasks.errors import SchemaMismatch
from recsys_tasks.extract.values import text_of

# One long description must not push the columns behind it out of the encoder's window.
LONGEST_FIELD, LONGEST_TEXT = 300, 900
TAG = re.compile(r"<[^<>]{0,200}>")
PRINTED_LIST = re.compile(r"^\[\s*(['\"]).*\1\s*\]$", re.DOTALL)
BETWEEN = re.compile(r"['\"]\s*,\s*['\"]")


def item_texts(items: pl.DataFrame) -> pl.DataFrame:
    """
    item_id (String) and text, a row an item, by item_id; of rows with one id the first counts.

    Columns of text and of lists of text count, others are passed over. Raises SchemaMismatch where ``item_id`` is
    missing.
    """
    if "item_id" not in items.columns:
        raise SchemaMismatch(
            f"the items file lacks item_id; it has {', '.join(items.columns) or 'no column'}"
        )
    ids = items.select(item_id=text_of(pl.col("item_id"), items.schema["item_id"]))["item_id"]
    columns = [_joined(items[name]) for name in items.columns if name != "item_id" and _is_text(items[name])]
    texts = [text_from(list(fields)) for fields in zip(*columns, strict=True)] if columns else [""] * len(ids)
    frame = pl.DataFrame({"item_id": ids, "text": pl.Series(texts, dtype=pl.String)})
    return frame.drop_nulls("item_id").unique("item_id", keep="first").sort("item_id")


def text_from(fields: list[str]) -> str:
    """Cleaned fields as sentences; empty ones leave no trace."""
    cleaned = [clean(field)[:LONGEST_FIELD].strip() for field in fields]
    return ". ".join(field for field in cleaned if field)[:LONGEST_TEXT]


def clean(field: str) -> str:
    """Without mark-up, and without the brackets and quotes of a list that was printed as text."""
    field = field.strip()
    if PRINTED_LIST.match(field):
        field = BETWEEN.sub(", ", field[1:-1].strip()[1:-1])
    return " ".join(TAG.sub(" ", html.unescape(field)).split())


def _is_text(column: pl.Series) -> bool:
    kind = column.dtype
    inner = kind.inner if isinstance(kind, pl.List) else kind
    return inner in (pl.String, pl.Categorical, pl.Enum)


def _joined(column: pl.Series) -> list[str]:
    if isinstance(column.dtype, pl.List):
        column = column.cast(pl.List(pl.String)).list.join(", ", ignore_nulls=True)
    return column.cast(pl.String).fill_null("").to_list()
