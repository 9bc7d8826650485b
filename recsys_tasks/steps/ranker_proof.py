"""
How much the towers' own score counts beside the order that a ranker learned.

Where little is taken the trees learn more of chance than of taste, and the towers alone order better; where much is
taken they need no help. So a ranker of earlier cuts is asked at the newest one, which it has not seen, and the towers'
score is added to its own with the weight that serves best there. Which one does is chance as well where few are asked:
the weight is the mean of those that win when the shoppers are drawn again (Efron, "Estimation and accuracy after model
selection", JASA 2014, section 2: bootstrap smoothing), so one shopper more or less does not make it jump. The night's
trees then learn from the newest cut too, and what chance does to them shrinks as what they learn from grows: so does
the weight. Measured on three shops at nine development cuts (docs/quality.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recsys_tasks.pairs.audit import LearningCut
from recsys_tasks.recommend.features import NAMES
from recsys_tasks.recommend.ranker import THREADS, TOWER_SCORE, Groups, fit_booster
from recsys_tasks.settings import RankerSettings

WEIGHTS = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 1.0, 2.0)
# Where nothing can be asked: it lost at most .006 NDCG@10 at a development cut, and won up to .017 (docs/quality.md).
UNPROVEN = 0.1
LENGTH = 10
RESAMPLES = 400


@dataclass(frozen=True)
class Proof:
    """
    ``weight`` is for the ranker of all cuts, ``how`` says in words where it is from. ``ndcg`` is what the ranker of the
    earlier cuts reached at the newest one (mean NDCG@10, by weight); empty where nothing could be asked.
    """

    weight: float
    how: str
    ndcg: dict[float, float] = field(default_factory=dict)


def prove(parts: Mapping[LearningCut, Groups], settings: RankerSettings, seed: int, min_hits: int) -> Proof:
    """
    The weight of the towers' score for one head, from the training groups of each of its cuts.

    The ranker that is asked learns from the cuts whose labels end before the newest cut; fewer than ``min_hits`` taken
    candidates teach nothing there and prove nothing here, and the weight is ``UNPROVEN``. By hand it is
    ``settings.tower_weight``, and nothing for a ranker that does not look at the towers.
    """
    if settings.tower_weight is not None:
        return Proof(settings.tower_weight, "set by hand")
    if "tower" in settings.without_features:
        return Proof(0.0, "the towers are left out")
    newest = max(parts, key=lambda cut: cut.at)
    asked, earlier = parts[newest], [groups for cut, groups in parts.items() if cut.until <= newest.at]
    if not earlier or min(_hits(asked), sum(map(_hits, earlier))) < min_hits:
        return Proof(UNPROVEN, "nothing to prove it by")
    learned = Groups.joined(earlier)
    trees = fit_booster(learned, settings, seed)
    # LightGBM's number of threads is the whole process's: other heads are fitted beside this one.
    own = np.asarray(trees.predict(asked.values, num_threads=THREADS), np.float64)
    towers = asked.values[:, NAMES.index(TOWER_SCORE)].astype(np.float64)
    ndcg_WG = np.stack([ndcg_of(asked, own + weight * towers) for weight in WEIGHTS])
    share = _hits(learned) / sum(map(_hits, parts.values()))
    weight = round(_winner(ndcg_WG, seed) * share, 4)
    return Proof(weight, "by a cut held out", dict(zip(WEIGHTS, ndcg_WG.mean(axis=1).tolist(), strict=True)))


def _winner(ndcg_WG: NDArray[np.float64], seed: int) -> float:
    """The mean of the weights that win in resamples of the G groups; of those that serve alike the smallest wins."""
    groups = ndcg_WG.shape[1]
    times_RG = np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), size=RESAMPLES)
    # Equal columns must give equal sums: where a product is summed in another order, a last bit would decide.
    sums_RW = np.round(times_RG @ ndcg_WG.T, 9)
    return float(np.asarray(WEIGHTS)[sums_RW.argmax(axis=1)].mean())


def _hits(groups: Groups) -> int:
    return int(groups.labels.sum())


def ndcg_of(groups: Groups, scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """(G,) binary NDCG@10 of each group's order by ``scores`` (R,); ties keep the rows' order."""
    group = np.repeat(np.arange(len(groups.sizes)), groups.sizes)
    order = np.lexsort((-scores, group))
    place = np.arange(len(group)) - np.repeat(np.cumsum(groups.sizes) - groups.sizes, groups.sizes)
    shown = place < LENGTH
    gains = groups.labels[order] * shown / np.log2(place + 2)
    ideal = np.cumsum(1 / np.log2(np.arange(2, LENGTH + 2)))
    taken = np.bincount(group, groups.labels).astype(np.int64)
    return np.asarray(np.bincount(group, gains) / ideal[np.clip(taken, 1, LENGTH) - 1])
