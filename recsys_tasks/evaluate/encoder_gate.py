"""
Whether the tuned encoder is better than the one it started from: recommendation by text alone.

On days no training has seen, a shopper is the decayed mean of the text vectors of the shopper's history, and texts
are ranked by their likeness to it (the cosine, or what the encoder was trained by); popularity and ids take no part.
Two questions: among texts held out of training, as a new item is (cold: Recall@50), and among all others (warm:
NDCG@10). Both encoders are whitened: raw vectors of a general model crowd into a cone, and a comparison with them
would only measure that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from recsys_tasks.evaluate.bootstrap import paired_interval
from recsys_tasks.model.arrays import Floats
from recsys_tasks.model.histories import Histories, microseconds
from recsys_tasks.model.similarity import Sides

Bools = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float64]
# One vector a text, or one to ask with and one that is offered.
Vectors = Floats | Sides

COLD_K = 50
WARM_K = 10
HALF_LIFE_DAYS = 60.0
HISTORY_EVENTS = 400
# NDCG@10 a tuned encoder may at worst lose on the warm slice (lower end of the interval).
WARM_TOLERANCE = 0.002
MAX_USERS = 20_000
USERS_AT_A_TIME = 512


@dataclass(frozen=True)
class Trial:
    """
    Shoppers and texts of the validation days; matrices are sparse, (users, texts).

    ``history`` holds the decayed weights of the texts before the cut (rows of unit length), ``seen`` every text
    before the cut, ``wanted`` the texts first taken in the validation days.
    """

    history: sp.csr_matrix
    seen: sp.csr_matrix
    wanted: sp.csr_matrix
    held_out: Bools


@dataclass(frozen=True)
class Slice:
    """One metric of both encoders, the paired difference with its 95 % interval, and over how many shoppers."""

    frozen: float
    tuned: float
    difference: float
    low: float
    high: float
    users: int


@dataclass(frozen=True)
class Verdict:
    kept: bool
    why: str
    cold: Slice
    warm: Slice


def trial(
    events: pl.DataFrame,
    texts: pl.Series,
    held_out: Bools,
    *,
    cut: datetime,
    until: datetime,
    weights: Mapping[str, float],
    target_events: Sequence[str],
    seed: int,
) -> Trial:
    """
    Histories before ``cut``, targets from ``cut`` to ``until`` (exclusive).

    ``events`` are about texts (``item_id`` holds the text), in EVENT_ORDER; ``texts`` are the sorted texts that may be
    recommended, ``held_out`` says which of them are cold. Cold texts are in no history, as nobody has taken them yet.
    """
    known = events.filter(pl.col("occurred_at") < until)
    after = known.filter(pl.col("occurred_at") >= cut, pl.col("event_type").is_in(list(target_events)))
    before = known.filter(pl.col("occurred_at") < cut)
    users = _users(before["user_id"], after["user_id"], seed)
    warm = before.join(
        _frame(texts.filter(~pl.Series(held_out))), on="item_id", how="semi", maintain_order="left"
    )
    seen = _matrix(before, users, texts)
    taken = _matrix(after, users, texts)
    history = _decayed(Histories.collect(warm, users, texts, weights), len(texts), cut)
    return Trial(history, seen, _without(taken, seen), held_out)


def judge(trial: Trial, frozen: Floats, tuned: Vectors, *, resamples: int = 1000, seed: int = 0) -> Verdict:
    """Compare two encoders by the vectors of the trial's texts as a night uses them, (texts, d) each."""
    cold, warm = trial.held_out, ~trial.held_out
    cold_slice = _compared(
        recall(trial, frozen, cold, COLD_K), recall(trial, tuned, cold, COLD_K), resamples, seed
    )
    warm_slice = _compared(
        ndcg(trial, frozen, warm, WARM_K), ndcg(trial, tuned, warm, WARM_K), resamples, seed
    )
    kept = cold_slice.low > 0 and warm_slice.low >= -WARM_TOLERANCE
    return Verdict(kept, _why(cold_slice, warm_slice), cold_slice, warm_slice)


def recall(trial: Trial, vectors: Vectors, among: Bools, k: int) -> Scores:
    """hits / min(k, wanted) for each shopper who wanted any of the texts ``among``, in order of user_id."""
    hits, wanted = _hits(trial, vectors, among, k)
    return np.asarray(hits.sum(axis=1) / np.minimum(k, wanted), dtype=np.float64)


def ndcg(trial: Trial, vectors: Vectors, among: Bools, k: int) -> Scores:
    """Binary NDCG@k, for the same shoppers."""
    hits, wanted = _hits(trial, vectors, among, k)
    gains = 1.0 / np.log2(np.arange(2, hits.shape[1] + 2))
    ideal = np.cumsum(gains)[np.minimum(hits.shape[1], wanted) - 1]
    return np.asarray(hits @ gains / ideal, dtype=np.float64)


def facts(verdict: Verdict) -> dict[str, Any]:
    """The verdict as JSON."""
    slices = {name: _rounded(getattr(verdict, name)) for name in ("cold", "warm")}
    return {"kept": verdict.kept, "why": verdict.why, **slices}


def _hits(trial: Trial, vectors: Vectors, among: Bools, k: int) -> tuple[Bools, npt.NDArray[np.int64]]:
    """Which of each shopper's first k texts were wanted, (users, k), and how many were wanted at all."""
    columns = np.flatnonzero(among)
    asked, offered = vectors if isinstance(vectors, Sides) else (vectors, vectors)
    wanted = trial.wanted[:, columns].tocsr()
    rows = np.flatnonzero(np.diff(wanted.indptr))
    seen = trial.seen[:, columns].tocsr()
    hits = np.zeros((len(rows), min(k, len(columns))), dtype=np.bool_)
    for start in range(0, len(rows), USERS_AT_A_TIME):
        some = rows[start : start + USERS_AT_A_TIME]
        scores = np.asarray((trial.history[some] @ asked) @ offered[columns].T)
        scores[seen[some].nonzero()] = -np.inf
        best = _first(scores, hits.shape[1])
        hits[start : start + len(some)] = np.take_along_axis(wanted[some].toarray() > 0, best, axis=1)
    return hits, np.diff(wanted.indptr)[rows].astype(np.int64)


def _first(scores: npt.NDArray[Any], k: int) -> npt.NDArray[np.int64]:
    """The columns of the k best scores of each row, best first; equal scores by column."""
    best = np.sort(np.argpartition(-scores, k - 1, axis=1)[:, :k], axis=1)
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
    return np.asarray(np.take_along_axis(best, order, axis=1), dtype=np.int64)


def _compared(frozen: Scores, tuned: Scores, resamples: int, seed: int) -> Slice:
    interval = paired_interval(tuned, frozen, resamples, seed)
    return Slice(
        _mean(frozen), _mean(tuned), interval.difference, interval.low, interval.high, users=len(frozen)
    )


def _mean(scores: Scores) -> float:
    return float(scores.mean()) if len(scores) else 0.0


def _why(cold: Slice, warm: Slice) -> str:
    def told(name: str, part: Slice) -> str:
        return (
            f"{name} {part.tuned:.4f} against {part.frozen:.4f} "
            f"({part.difference:+.4f}, 95 % {part.low:+.4f} to {part.high:+.4f}, {part.users} shoppers)"
        )

    figures = (
        f"{told(f'Recall@{COLD_K} of held-out texts', cold)}; {told(f'NDCG@{WARM_K} of the others', warm)}"
    )
    if cold.users == 0:
        return f"refused: no shopper took a held-out text in the validation days, so nothing is proven; {figures}"
    if cold.low <= 0:
        return f"refused: not surely better on items without history; {figures}"
    if warm.low < -WARM_TOLERANCE:
        return f"refused: may lose more than {WARM_TOLERANCE} on items with history; {figures}"
    return f"kept: better on items without history, no worse on the others; {figures}"


def _rounded(part: Slice) -> dict[str, Any]:
    return {name: round(value, 5) for name, value in vars(part).items()}


def _users(before: pl.Series, after: pl.Series, seed: int) -> pl.Series:
    """Shoppers with a history and a target, sorted; of very many a seeded sample."""
    both = (
        before.unique().to_frame().join(after.unique().to_frame(), on="user_id", how="semi")["user_id"].sort()
    )
    if len(both) <= MAX_USERS:
        return both
    chosen = np.random.default_rng(seed).choice(len(both), MAX_USERS, replace=False)
    return both[np.sort(chosen)]


def _frame(texts: pl.Series) -> pl.DataFrame:
    return pl.DataFrame({"item_id": texts})


def _matrix(events: pl.DataFrame, users: pl.Series, texts: pl.Series) -> sp.csr_matrix:
    """1 where the shopper has an event with the text, whatever its type."""
    types = dict.fromkeys(events["event_type"].unique(), 1.0)
    packed = Histories.collect(events, users, texts, types)
    ones = np.ones(len(packed.items), dtype=np.float32)
    matrix = sp.csr_matrix((ones, packed.items.copy(), packed.starts), shape=(len(users), len(texts)))
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


def _without(taken: sp.csr_matrix, seen: sp.csr_matrix) -> sp.csr_matrix:
    new = sp.csr_matrix(taken - taken.multiply(seen))
    new.eliminate_zeros()
    return new


def _decayed(histories: Histories, texts: int, cut: datetime) -> sp.csr_matrix:
    users = np.arange(len(histories.starts) - 1)
    until = np.full(len(users), microseconds(cut))
    bags = histories.bags(users, histories.starts[1:], until, [HALF_LIFE_DAYS], HISTORY_EVENTS)
    matrix = sp.csr_matrix((bags.values[0], bags.items.copy(), bags.offsets), shape=(len(users), texts))
    matrix.sum_duplicates()
    return matrix
