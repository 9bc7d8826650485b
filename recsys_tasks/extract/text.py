"""
An item's text from the shop's template, such as ``{title}. {brand} ({size})``.

A field that is empty vanishes together with the brackets around it and the separators after it, so that no
"Tent. , ()" reaches the encoder or a reader.
"""

import re
import string
from dataclasses import dataclass

import polars as pl

from recsys_tasks.errors import SettingsError
from recsys_tasks.extract.values import text_of

SEPARATORS = re.compile(r"^[\s.,;:|/\u2013-]+")
# What may not be left dangling at the end; a full stop may.
TAIL = r"[\s,;:|/\u2013-]+$"
BRACKETS = {"(": ")", "[": "]"}


@dataclass(frozen=True)
class Part:
    """A field with its own brackets, and the literal text that follows it."""

    field: str
    opening: str
    closing: str
    after: str


def fields_of(template: str, key: str) -> list[str]:
    """The columns a template names; raises SettingsError where it is malformed or names none."""
    return [part.field for part in _parsed(template, key)[1]]


def separators_of(template: str, key: str) -> list[str]:
    """The literals between the fields, brackets included: where they stand in a text, a field ends (usually)."""
    return _split(template, key)[1][1:-1]


def text_from(template: str, key: str, schema: pl.Schema) -> pl.Expr:
    """The text of each row; empty where every field is. ``key`` names the template in errors."""
    lead, parts = _parsed(template, key)
    values = [_field(part, schema) for part in parts]
    pieces = [pl.lit(lead)]
    for part, value in zip(parts, values, strict=True):
        shown = pl.concat_str(pl.lit(part.opening), value, pl.lit(part.closing + part.after))
        pieces.append(pl.when(value != "").then(shown).otherwise(pl.lit(SEPARATORS.sub("", part.after))))
    tidy = pl.concat_str(pieces).str.replace_all(r"\s+", " ").str.strip_chars()
    tidy = pl.when(values[-1] == "").then(tidy.str.replace(TAIL, "")).otherwise(tidy)
    return pl.when(pl.any_horizontal(value != "" for value in values)).then(tidy).otherwise(pl.lit(""))


def _field(part: Part, schema: pl.Schema) -> pl.Expr:
    return text_of(pl.col(part.field), schema[part.field]).fill_null("")


def _parsed(template: str, key: str) -> tuple[str, list[Part]]:
    """The literal in front, and the parts; brackets directly around a field belong to it."""
    names, literals = _split(template, key)
    parts = []
    for position, name in enumerate(names):
        before, after = literals[position], literals[position + 1]
        opening = before[-1:]
        closing = BRACKETS.get(opening)
        if closing and after.startswith(closing):
            literals[position], literals[position + 1] = before[:-1], after[1:]
        else:
            opening, closing = "", ""
        parts.append((name, opening, closing))
    following = zip(parts, literals[1:], strict=True)
    return literals[0], [Part(*part, after) for part, after in following]


def _split(template: str, key: str) -> tuple[list[str], list[str]]:
    """The fields, and the literals before, between and after them; only plain ``{column}`` fields are allowed."""
    try:
        pieces = list(string.Formatter().parse(template))
    except ValueError as error:
        raise SettingsError(f"{key}: {template!r} is no template: {error}") from None
    names, literals = [], [""]
    for literal, name, form, conversion in pieces:
        literals[-1] += literal
        if name is not None:
            if not name or form or conversion:
                raise SettingsError(f"{key}: {template!r} may hold plain {{column}} fields only")
            names.append(name)
            literals.append("")
    if not names:
        raise SettingsError(f"{key}: {template!r} names no column; write {{column}}")
    return names, literals
