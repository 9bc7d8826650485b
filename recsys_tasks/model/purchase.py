"""The question that the purchase classifier answers: its words, apart from the module that needs torch."""

from collections.abc import Iterable

# What a (history, item) may be: one of others, or purchased.
LABELS = ("O", "Purchased")
SEPARATOR = "; "


def history_text(newest_first: Iterable[str]) -> str:
    """One text of a shopper's newest items: the newest first, so that the oldest are cut where it is too long."""
    return SEPARATOR.join(newest_first)
