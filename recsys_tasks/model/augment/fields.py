"""
Where the fields of a text begin, as far as its template's separators tell.

A text is kept whole, not field by field. The literals between the template's fields stand in it, so it is cut where
one of them stands. A value that holds such a literal itself ("7 oz. pack" under ``{name}. {brand}``) counts as two
fields, and fields with nothing but a space between them as one: for leaving out a part of a text both do.
"""

import re
from collections.abc import Sequence

import numpy as np

from recsys_tasks.model.arrays import Positions

OPENING = re.compile(r"[(\[]")


def field_starts(text: str, separators: Sequence[str]) -> Positions:
    """The offsets at which fields begin, rising from 0. ``separators``: the literals between the template's fields."""
    tidy = (re.sub(r"\s+", " ", literal) for literal in separators)
    visible = sorted(
        {literal for literal in tidy if literal.strip()}, key=lambda literal: (-len(literal), literal)
    )
    starts = {0}
    if visible:
        for found in re.finditer("|".join(map(re.escape, visible)), text):
            starts.add(_behind(found))
    return np.array(sorted(start for start in starts if start < max(1, len(text))), dtype=np.int64)


def _behind(separator: re.Match[str]) -> int:
    """A bracket that opens belongs to the field it opens for; everything else to the field before."""
    opening = OPENING.search(separator.group())
    return separator.end() if opening is None else separator.start() + opening.start()
