"""What an extraction gives: the clean rows, the refused ones with reasons, and the counts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Generic, TypeVar

import dataframely as dy
import polars as pl

from recsys_tasks.lake.records import DayFacts
from recsys_tasks.schema import Rejects

S = TypeVar("S", bound=dy.Schema)
ROW = "row_number"


# A source gone wrong refuses every row for one reason: so many of them show what is wrong, the rest is counted.
KEPT_PER_REASON = 10_000
MAX_SHOWN_CHARS = 1_000


@dataclass(frozen=True)
class Extracted(Generic[S]):
    """``read`` rows are ``clean``, rejected or filtered; ``noted`` counts clean rows worth a word."""

    clean: dy.DataFrame[S]
    rejects: dy.DataFrame[Rejects]
    """For the quarantine: of each reason the first KEPT_PER_REASON rows."""
    read: int
    rejected: dict[str, int]
    """All rejected rows, by reason."""
    filtered: dict[str, int]
    noted: dict[str, int] = field(default_factory=dict)
    days: dict[date, DayFacts] = field(default_factory=dict)
    """For events: the same counts by business day."""

    @property
    def bad(self) -> int:
        """How many rows were rejected."""
        return sum(self.rejected.values())


def counts(reasons: pl.Series) -> dict[str, int]:
    """How often each reason stands in a series, by name; nulls do not count."""
    tally = reasons.rename("reason").drop_nulls().value_counts(name="rows").sort("reason")
    return dict(tally.iter_rows())


def first_fault(faults: Mapping[str, pl.Expr]) -> pl.Expr:
    """The first reason whose condition holds, else null."""
    found = [pl.when(condition).then(pl.lit(reason)) for reason, condition in faults.items()]
    return pl.coalesce(*found, pl.lit(None, pl.String))


def broken_contracts(schema: type[dy.Schema], frame: pl.DataFrame) -> pl.DataFrame:
    """
    ``row_number`` and ``reason`` (the first broken rule, such as ``user_id|min_length``) of each row that breaks
    the contract; ``schema`` must have the column ``row_number``.
    """
    details = schema.filter(frame).failure.details()
    rules = [name for name in details.columns if name not in schema.column_names()]
    # A rule of one column (``user_id|regex``) says more than one of the whole frame (``primary_key``).
    rules.sort(key=lambda rule: "|" not in rule)
    broken = {rule: pl.col(rule).cast(pl.String) == "invalid" for rule in rules}
    return details.select(ROW, reason=first_fault(broken))


def rejects_of(source: str, raw: pl.DataFrame, refused: pl.DataFrame) -> dy.DataFrame[Rejects]:
    """
    The quarantine rows of ``refused`` (``row_number``, ``reason``): raw rows as JSON, in source order.

    Of each reason the first KEPT_PER_REASON rows; a value longer than MAX_SHOWN_CHARS is cut.
    """
    ordered = refused.sort(ROW).group_by("reason", maintain_order=True).head(KEPT_PER_REASON).sort(ROW)
    rows = raw[ordered[ROW].to_list()]
    # A value JSON has no word for (a timestamp, bytes) is kept as its text.
    texts = [json.dumps(_shown(row), ensure_ascii=False, default=str) for row in rows.iter_rows(named=True)]
    frame = pl.DataFrame(
        {"row": texts, "reason": ordered["reason"]}, schema={"row": pl.String, "reason": pl.String}
    )
    return Rejects.cast(frame.select(pl.lit(source).alias("source"), "row", "reason"))


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: f"{value[:MAX_SHOWN_CHARS]}…"
        if isinstance(value, str) and len(value) > MAX_SHOWN_CHARS
        else value
        for name, value in row.items()
    }
