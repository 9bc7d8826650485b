"""
The shop's catalogue -> clean items, each with its text.

Where an id stands in several rows the last one wins: a query says which by its ORDER BY, files by their order.
"""

import dataframely as dy
import polars as pl

from recsys_tasks.extract.columns import first_failed_filter, key_of, require_column, require_time
from recsys_tasks.extract.extracted import (
    ROW,
    Extracted,
    broken_contracts,
    counts,
    first_fault,
    rejects_of,
)
from recsys_tasks.extract.sources import read
from recsys_tasks.extract.text import fields_of, text_from
from recsys_tasks.extract.values import instant_of, number_of, optional_text_of, text_of
from recsys_tasks.schema import MAX_TEXT_CHARS, Items
from recsys_tasks.settings import ItemSourceSettings

REPEATED = "repeated item_id"
FIELDS = {name: column.dtype for name, column in Items.columns().items()}
TIMES = ("available_from", "available_until")


class NumberedItems(Items):
    row_number = dy.UInt32(nullable=False)


def extract_items(source: ItemSourceSettings) -> Extracted[Items]:
    """
    The whole catalogue, by item_id.

    Raises SourceError, SchemaMismatch or SettingsError as ``sources.read`` does.
    """
    raw = read(source)
    rows = _mapped(source, raw).with_columns(filtered=first_failed_filter(source, raw))
    kept = rows.filter(pl.col("filtered").is_null())
    faulty = kept.filter(pl.col("fault").is_not_null()).select(ROW, reason="fault")
    sound = kept.filter(pl.col("fault").is_null())
    # The contract knows an item once: repeats are settled before it is asked, else it would refuse them all.
    newest = sound.filter(pl.col("item_id").is_null() | pl.struct("item_id").is_last_distinct())
    refused = pl.concat([faulty, broken_contracts(NumberedItems, newest.select(*FIELDS, ROW))])
    clean = newest.join(refused, on=ROW, how="anti").sort("item_id")
    repeated = {REPEATED: sound.height - newest.height} if sound.height > newest.height else {}
    return Extracted(
        clean=Items.cast(clean.select(*FIELDS)),
        rejects=rejects_of("items", raw, refused),
        read=raw.height,
        rejected=counts(refused["reason"]),
        filtered={**counts(rows["filtered"]), **repeated},
        noted=_noted(clean),
    )


def _mapped(source: ItemSourceSettings, raw: pl.DataFrame) -> pl.DataFrame:
    """Our columns, ``row_number``, ``cut`` (the text was too long), and ``fault``."""
    schema = raw.schema
    for name in TIMES:
        require_time(source, name, schema)
    texts = {"text": _text(source, source.text, "text", schema)}
    texts["title"] = _text(source, source.title, "title", schema) if source.title else texts["text"]
    ours = {
        name: _value(source, name, schema).cast(dtype) for name, dtype in FIELDS.items() if name not in texts
    }
    rows = raw.select(**ours, **texts).with_row_index(ROW)
    long = [pl.col(name).str.len_chars() > MAX_TEXT_CHARS for name in texts]
    unreadable = {f"{name}|unreadable": _unreadable(source, name, raw, rows) for name in ("price", *TIMES)}
    return rows.with_columns(
        *(pl.col(name).str.head(MAX_TEXT_CHARS) for name in texts),
        cut=pl.any_horizontal(long),
        fault=first_fault(unreadable),
    )


def _text(source: ItemSourceSettings, template: str, name: str, schema: pl.Schema) -> pl.Expr:
    key = f"{key_of(source)}.{name}"
    for field in fields_of(template, key):
        require_column(source, field, schema.names(), name)
    return text_from(template, key, schema)


def _value(source: ItemSourceSettings, name: str, schema: pl.Schema) -> pl.Expr:
    if name not in source.columns:
        return pl.lit("product") if name == "kind" else pl.lit(None)
    column, dtype = pl.col(source.columns[name]), schema[source.columns[name]]
    if name in TIMES:
        return instant_of(column, dtype, source.time_zone)
    if name == "price":
        return number_of(column, dtype, pl.Float64())
    return text_of(column, dtype) if name == "item_id" else optional_text_of(column, dtype)


def _unreadable(source: ItemSourceSettings, name: str, raw: pl.DataFrame, rows: pl.DataFrame) -> pl.Expr:
    """Rows where the source says something that ``name`` cannot hold."""
    if name not in source.columns:
        return pl.lit(False)
    column = source.columns[name]
    given = raw.select(optional_text_of(pl.col(column), raw.schema[column]).is_not_null()).to_series()
    return pl.lit(given & rows[name].is_null())


def _noted(clean: pl.DataFrame) -> dict[str, int]:
    """Items kept as they are that somebody may want to look at."""
    found = {"text cut": int(clean["cut"].sum()), "no text": int((clean["text"] == "").sum())}
    return {name: count for name, count in found.items() if count}
