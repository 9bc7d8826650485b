"""What a step learned from, in words short enough for an error message."""

from collections.abc import Sequence

import polars as pl

from recsys_tasks.model.arrays import Positions

SHOWN = 4
LETTERS = 40


def named_texts(texts: Sequence[str], codes: Positions) -> str:
    """The first SHOWN of the texts, shortened, and how many more there are."""
    return _some([_short(texts[code]) for code in codes[:SHOWN]], len(codes), "texts")


def named_items(ids: pl.Series, codes: Positions) -> str:
    """The first SHOWN of the items' ids, and how many more there are."""
    return _some([_short(str(item)) for item in ids.gather(codes[:SHOWN])], len(codes), "items")


def named_rows(histories: Sequence[str], items: Sequence[str], rows: Positions) -> str:
    """The first SHOWN of the rows, each a history and the item that is asked about, and how many more there are."""
    return _arrows([(histories[row], items[row]) for row in rows[:SHOWN]], len(rows))


def named_pairs(texts: Sequence[str], anchors: Positions, positives: Positions) -> str:
    """The first SHOWN of the pairs, both texts shortened, and how many more there are."""
    shown = zip(anchors[:SHOWN], positives[:SHOWN], strict=True)
    return _arrows([(texts[anchor], texts[positive]) for anchor, positive in shown], len(anchors))


def _arrows(shown: Sequence[tuple[str, str]], count: int) -> str:
    return _some([f"{_short(one)} -> {_short(other)}" for one, other in shown], count, "pairs")


def _some(shown: list[str], count: int, what: str) -> str:
    more = f" and {count - len(shown)} more {what}" if count > len(shown) else ""
    return ", ".join(shown) + more


def _short(text: str) -> str:
    return repr(text if len(text) <= LETTERS else text[: LETTERS - 3] + "...")
