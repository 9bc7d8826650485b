"""A model that reads two texts, a history and a candidate: too dear for every candidate, and loaded where one is."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from recsys_tasks.recommend.log import Floats


class Scorer(Protocol):
    """What the ranker's feature asks (``model.classifier.PurchaseClassifier``)."""

    @property
    def history_items(self) -> int:
        """The newest distinct texts that make a history."""

    @property
    def candidates(self) -> int:
        """The candidates of a shopper that are worth a question."""

    def log_odds(self, histories: Sequence[str], texts: Sequence[str]) -> Floats:
        """The log odds of a purchase for each (history, item), (n,)."""


def scorer_in(folder: Path) -> Scorer | None:
    """The classifier that lies in ``folder``; none where there is no such folder."""
    if not folder.is_dir():
        return None
    # Torch is needed where there is one only.
    from recsys_tasks.model.classifier import PurchaseClassifier

    return PurchaseClassifier.load(folder)
