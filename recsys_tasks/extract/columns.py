"""Check that a source has what shop.yaml names, and say where to look when it has not."""

from collections.abc import Iterable

import polars as pl

from recsys_tasks.errors import SchemaMismatch, SettingsError
from recsys_tasks.extract.values import is_readable_time
from recsys_tasks.settings import EventSourceSettings, SourceSettings

SHOWN_QUERY_CHARS = 200
FAILED = "__failed_filter"


def key_of(source: SourceSettings) -> str:
    """Where the source stands in shop.yaml."""
    return "sources.events" if isinstance(source, EventSourceSettings) else "sources.items"


def place_of(source: SourceSettings) -> str:
    """The file or query, as an operator would recognise it."""
    if source.kind != "sql":
        return f"{source.path}"
    query = " ".join((source.query or "").split())
    return f"query {query[:SHOWN_QUERY_CHARS]!r} on {source.url}"


def require_columns(source: SourceSettings, found: Iterable[str], file: str | None = None) -> None:
    """Raise SchemaMismatch for the first mapped column that the source, or one file of it, lacks."""
    names = list(found)
    for ours, theirs in source.columns.items():
        require_column(source, theirs, names, f"columns.{ours}", file)


def require_column(
    source: SourceSettings, column: str, found: list[str], key: str, file: str | None = None
) -> None:
    """Raise SchemaMismatch where ``column``, which ``key`` of the source names, is not among ``found``."""
    if column not in found:
        raise SchemaMismatch(
            f"{file or place_of(source)} has no column {column!r} (found: {', '.join(found)}); "
            f"correct {key_of(source)}.{key} in shop.yaml"
        )


def require_time(source: SourceSettings, name: str, schema: pl.Schema, file: str | None = None) -> None:
    """Raise SchemaMismatch where the column mapped to ``name`` holds what is no time."""
    column = source.columns.get(name)
    if column is not None and not is_readable_time(schema[column]):
        raise SchemaMismatch(
            f"{file or place_of(source)}: column {column!r} holds {schema[column]}, expected timestamps or ISO text; "
            f"convert it in the query, or correct {key_of(source)}.columns.{name} in shop.yaml"
        )


def first_failed_filter(source: SourceSettings, raw: pl.DataFrame) -> pl.Series:
    """
    For each raw row the reason of the first filter it does not fulfil, else null; "unknown" does not fulfil.

    Raises SettingsError for a condition that is no SQL or does not fit the columns' types.
    """
    failed = [
        pl.when(~_condition(source, reason, raw.columns).fill_null(False)).then(pl.lit(reason))
        for reason in source.filters
    ]
    return _evaluated(source, raw, pl.coalesce(*failed, pl.lit(None, pl.String)))


def _condition(source: SourceSettings, reason: str, found: list[str]) -> pl.Expr:
    key = f"filters.{reason}"
    try:
        condition = pl.sql_expr(source.filters[reason])
    except pl.exceptions.PolarsError as error:
        raise SettingsError(f"{key_of(source)}.{key}: not a SQL condition: {error}") from None
    for column in condition.meta.root_names():
        require_column(source, column, found, key)
    return condition


def _evaluated(source: SourceSettings, raw: pl.DataFrame, failed: pl.Expr) -> pl.Series:
    try:
        # Not a select: without filters, or with a constant one, that would give a single row.
        return raw.with_columns(failed.alias(FAILED)).get_column(FAILED)
    except (pl.exceptions.PolarsError, TypeError) as error:
        first_line = str(error).strip().splitlines()[0]
        raise SettingsError(
            f"{key_of(source)}.filters: a condition does not fit the data: {first_line}"
        ) from None
