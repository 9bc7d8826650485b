"""
One number for how good an encoder's vectors are, for a search to maximise.

The two slices of the encoder gate, each as a gain over the whitened frozen encoder, and the mean of both:
(warm NDCG@10 / frozen - 1) / 2 + (cold Recall@50 / frozen - 1) / 2. Relative, because the cold slice's figures are
several times as large and would otherwise decide alone; a mean, because the gate wants both.
"""

from dataclasses import dataclass

from recsys_tasks.errors import EmptyPartition
from recsys_tasks.evaluate.encoder_gate import COLD_K, WARM_K, Scores, Trial, Vectors, ndcg, recall
from recsys_tasks.evaluate.relative import relative_gain
from recsys_tasks.model.arrays import Floats


@dataclass(frozen=True)
class Gain:
    """The value, and the figures of both slices; a slice that nobody can be asked about counts as no gain."""

    value: float
    warm: float
    cold: float
    warm_frozen: float
    cold_frozen: float


def gain(trial: Trial, frozen: Floats, tuned: Vectors) -> Gain:
    """
    Of vectors as they are used (whitened, projected, or the two sides of a similarity), (texts, d) each.

    Raises EmptyPartition where no shopper can be asked about either slice.
    """
    cold, warm = trial.held_out, ~trial.held_out
    warm_frozen, cold_frozen = ndcg(trial, frozen, warm, WARM_K), recall(trial, frozen, cold, COLD_K)
    if not len(warm_frozen) and not len(cold_frozen):
        raise EmptyPartition(
            "no shopper with a history took anything new in the validation days: nothing to search by"
        )
    warm_tuned, cold_tuned = ndcg(trial, tuned, warm, WARM_K), recall(trial, tuned, cold, COLD_K)
    warm_gain = relative_gain(_mean(warm_tuned), _mean(warm_frozen))
    cold_gain = relative_gain(_mean(cold_tuned), _mean(cold_frozen))
    value = (warm_gain + cold_gain) / 2
    return Gain(value, _mean(warm_tuned), _mean(cold_tuned), _mean(warm_frozen), _mean(cold_frozen))


def _mean(scores: Scores) -> float:
    return float(scores.mean()) if len(scores) else 0.0
