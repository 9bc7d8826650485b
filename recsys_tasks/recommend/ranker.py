"""
The learned order of candidates: LightGBM's LambdaRank (Burges, 2010), kept as text.

Two heads, one for lists that may repeat and one for items new to the shopper: a purchase made before says so much
that a single model has little left to learn about the rest.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys_tasks.errors import MissingArtefact
from recsys_tasks.files import write_whole
from recsys_tasks.recommend.features import MEANING, NAMES
from recsys_tasks.recommend.log import Floats, Ints
from recsys_tasks.settings import RankerSettings

if TYPE_CHECKING:
    import lightgbm

HEADS = ("all", "new")
FEATURES = "features.json"
TOWER_SCORE = "tower_score"
# Small trees: larger ones bring nothing where much is taken, and learn chance where little is (docs/quality.md).
LEAVES = 7
# Sums of gradients depend on how rows are shared out. Heads are fitted side by side, and lists made batch by batch.
THREADS = 1
PREDICT_ROWS = 1 << 18


@dataclass(frozen=True)
class Groups:
    """Training rows of R candidates in G groups (a shopper at a cut), the groups' rows together."""

    values: Floats
    labels: Ints
    sizes: Ints

    @classmethod
    def joined(cls, parts: Sequence["Groups"]) -> "Groups":
        return cls(
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.labels for part in parts]),
            np.concatenate([part.sizes for part in parts]),
        )


@dataclass(frozen=True)
class Ranker:
    """
    A booster a head, over the columns of ``features.NAMES``.

    ``tower_weight``: by head, how much of the towers' score is added to the trees' own (0 where a head is not named).
    """

    boosters: "dict[str, lightgbm.Booster]"
    tower_weight: Mapping[str, float] = field(default_factory=dict)

    def scores(self, values: Floats, new_only: bool) -> Floats | None:
        """Higher is better, (R,); none where this head was not fitted."""
        head = HEADS[new_only]
        booster = self.boosters.get(head)
        if booster is None:
            return None
        scores = np.empty(len(values), np.float32)
        for first in range(0, len(values), PREDICT_ROWS):
            rows = slice(first, first + PREDICT_ROWS)
            scores[rows] = booster.predict(values[rows], num_threads=THREADS)
        weight = np.float32(self.tower_weight.get(head, 0))
        return scores + weight * values[:, NAMES.index(TOWER_SCORE)] if weight else scores

    def importance(self) -> dict[str, dict[str, float]]:
        """Total gain of each feature, a head each, largest first."""
        return {head: _gains(booster) for head, booster in self.boosters.items()}

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for head, booster in self.boosters.items():
            write_whole(folder / f"ranker_{head}.txt", booster.model_to_string())
        facts = {
            "names": NAMES,
            "meaning": MEANING,
            "heads": sorted(self.boosters),
            "tower_weight": dict(self.tower_weight),
            "importance": self.importance(),
        }
        write_whole(folder / FEATURES, json.dumps(facts, indent=2))

    @classmethod
    def load(cls, folder: Path) -> "Ranker":
        """Read it back; raises as ``facts_in``."""
        facts = cls.facts_in(folder)
        lightgbm = load_lightgbm()
        files = {head: folder / f"ranker_{head}.txt" for head in facts["heads"]}
        boosters = {head: lightgbm.Booster(model_file=str(file)) for head, file in files.items()}
        # A ranker of before the towers' score had a weight has none: its trees alone order.
        return cls(boosters, facts.get("tower_weight", {}))

    @staticmethod
    def facts_in(folder: Path) -> dict[str, Any]:
        """What a stored ranker says of itself; raises MissingArtefact where this code computes other features."""
        facts: dict[str, Any] = json.loads((folder / FEATURES).read_text(encoding="utf-8"))
        if facts["names"] != list(NAMES):
            raise MissingArtefact(
                f"the ranker in {folder} reads other features than this version has: fit it anew"
            )
        if facts.get("meaning") != MEANING:
            raise MissingArtefact(
                f"the ranker in {folder} reads features that mean something else in this version: fit it anew"
            )
        return facts


def fit_booster(groups: Groups, settings: RankerSettings, seed: int) -> "lightgbm.Booster":
    """
    Settings measured to win; the same rows and seed give the same trees, bit for bit.

    Features of the groups in ``without_features`` are blank here; no tree asks for them, so they may be filled later.
    """
    lightgbm = load_lightgbm()
    data = lightgbm.Dataset(
        _without(groups.values, settings.without_features),
        groups.labels,
        group=groups.sizes,
        feature_name=list(NAMES),
        free_raw_data=True,
    )
    return lightgbm.train(
        {
            "objective": "lambdarank",
            "lambdarank_truncation_level": 20,
            "num_leaves": LEAVES,
            "learning_rate": 0.04,
            "min_data_in_leaf": min(100, max(1, len(groups.labels) // 100)),
            "lambda_l2": 5.0,
            "feature_fraction": 0.5,
            "bagging_fraction": 0.7,
            "bagging_freq": 1,
            "seed": seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": THREADS,
            "verbosity": -1,
        },
        data,
        num_boost_round=settings.trees,
    )


def load_lightgbm() -> Any:
    """
    The module ``lightgbm``, as far as boosters and data sets go.

    It would import scikit-learn and pandas for estimators and frames that nothing here hands it: a second or two of
    each process that asks a ranker. Where they are loaded already it finds them; else its scikit-learn classes stay
    missing in this process. Nothing else may import meanwhile, so no thread calls this beside another.
    """
    if "lightgbm" in sys.modules:
        return sys.modules["lightgbm"]
    with _unseen("sklearn", "pandas"):
        return import_module("lightgbm")


@contextmanager
def _unseen(*modules: str) -> Iterator[None]:
    """Whoever tries to import these modules finds none, unless they are loaded."""
    hidden = [name for name in modules if name not in sys.modules]
    # What Python's import system reads as: there is no such module.
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def _without(values: Floats, left_out: Sequence[str]) -> Floats:
    hidden = [number for number, name in enumerate(NAMES) if name.partition("_")[0] in left_out]
    if not hidden:
        return values
    values = values.copy()
    values[:, hidden] = np.nan
    return values


def _gains(booster: "lightgbm.Booster") -> dict[str, float]:
    gains = zip(NAMES, booster.feature_importance("gain"), strict=True)
    return {name: round(float(gain), 1) for name, gain in sorted(gains, key=lambda pair: (-pair[1], pair[0]))}
