"""How well a classifier of two classes tells them apart: scikit-learn's report, with the ranking figures beside it."""

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
FIGURES = ("precision", "recall", "f1")


def classification(is_positive: Bools, log_odds: Floats, labels: tuple[str, str]) -> dict[str, Any]:
    """
    Precision, recall, f1 and support of each class where log odds above zero mean the second of ``labels``.

    Beside them, whatever the threshold: ``average_precision`` (with ``positive_share``, what chance would reach) and
    ``roc_auc`` (chance: one half); none where only one class is there.
    """
    predicted = log_odds > 0
    return {
        "classes": dict(zip(labels, _by_class(is_positive, predicted), strict=True)),
        "accuracy": round(float(np.mean(is_positive == predicted)), 6) if len(log_odds) else None,
        **ranking(is_positive, log_odds),
    }


def ranking(is_positive: Bools, scores: Floats) -> dict[str, Any]:
    """How far the positives stand above the others by any score."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    share = float(is_positive.mean()) if len(is_positive) else 0.0
    both = 0.0 < share < 1.0
    return {
        "pairs": len(is_positive),
        "positive_share": round(share, 6),
        "average_precision": round(float(average_precision_score(is_positive, scores)), 6) if both else None,
        "roc_auc": round(float(roc_auc_score(is_positive, scores)), 6) if both else None,
    }


def _by_class(is_positive: Bools, predicted: Bools) -> list[dict[str, float | int]]:
    """FIGURES and support of the two classes."""
    if not len(is_positive):
        return [dict.fromkeys(FIGURES, 0.0) | {"support": 0}] * 2
    # Importing it takes seconds.
    from sklearn.metrics import precision_recall_fscore_support

    columns = precision_recall_fscore_support(is_positive, predicted, labels=[False, True], zero_division=0.0)
    return [
        {name: round(float(value), 6) for name, value in zip(FIGURES, row, strict=False)}
        | {"support": int(row[3])}
        for row in zip(*columns, strict=True)
    ]
