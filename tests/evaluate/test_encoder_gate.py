from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from recsys_tasks.evaluate.encoder_gate import COLD_K, WARM_K, Slice, Trial, judge, ndcg, recall, trial
from recsys_tasks.evaluate.encoder_gate import facts as facts_of
from recsys_tasks.model.similarity import Sides

CUT = datetime(2026, 3, 1, tzinfo=UTC)
UNTIL = CUT + timedelta(days=28)
TASTES, PER_TASTE = 6, 100
TEXTS = pl.Series(
    "item_id", [f"taste {taste} thing {n:03d}" for taste in range(TASTES) for n in range(PER_TASTE)]
)
# Of every taste the last quarter is held out.
HELD_OUT = np.array([n >= 75 for _ in range(TASTES) for n in range(PER_TASTE)])


def unit(rows):
    rows = np.asarray(rows, dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def vectors(clarity, seed=0):
    """Texts of one taste point the same way, the more so the greater the ``clarity``."""
    noise = np.random.default_rng(seed).normal(size=(len(TEXTS), 16))
    taste = np.repeat(np.eye(TASTES, 16), PER_TASTE, axis=0)
    return unit(noise + clarity * taste)


def events(shoppers=120, seed=0):
    """Each shopper takes things of one taste, before the cut and after it."""
    rng = np.random.default_rng(seed)
    rows = [
        (
            f"u{shopper:03d}",
            TEXTS[int(shopper % TASTES * PER_TASTE + rng.integers(PER_TASTE))],
            "purchase",
            day,
        )
        for shopper in range(shoppers)
        for day in range(-40, 28, 2)
    ]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "event_type", "day"], orient="row")
    at = pl.lit(CUT) + pl.duration(days="day")
    return frame.select(
        "user_id", "item_id", "event_type", occurred_at=at.cast(pl.Datetime("us", "UTC"))
    ).sort("occurred_at", "user_id", "item_id")


def trial_of(log, until=UNTIL) -> Trial:
    return trial(
        log,
        TEXTS,
        HELD_OUT,
        cut=CUT,
        until=until,
        weights={"purchase": 1.0},
        target_events=["purchase"],
        seed=1,
    )


@pytest.fixture(scope="module")
def the_trial():
    return trial_of(events())


def test_a_better_encoder_is_kept_and_the_verdict_says_by_how_much(the_trial):
    verdict = judge(the_trial, vectors(1.0), vectors(6.0))
    assert verdict.kept
    assert verdict.why.startswith("kept: ")
    assert verdict.cold.low > 0
    assert verdict.cold.tuned - verdict.cold.frozen == pytest.approx(verdict.cold.difference)
    assert set(facts_of(verdict)["cold"]) == set(Slice.__dataclass_fields__)


def test_a_worse_encoder_is_refused(the_trial):
    verdict = judge(the_trial, vectors(6.0), vectors(1.0))
    assert not verdict.kept
    assert "not surely better on items without history" in verdict.why


def test_an_equal_encoder_is_refused(the_trial):
    assert not judge(the_trial, vectors(3.0), vectors(3.0)).kept


def test_an_encoder_that_wins_on_cold_texts_and_loses_on_warm_ones_is_refused(the_trial):
    clear, blurred = vectors(6.0), vectors(0.5)
    mixed = np.where(HELD_OUT[:, None], clear, vectors(3.0))
    # The history is warm: blurring the warm texts a little leaves the shopper's direction, and spoils their ranking.
    tuned = unit(np.where(HELD_OUT[:, None], clear, vectors(3.0) + 2 * blurred))
    frozen = unit(np.where(HELD_OUT[:, None], blurred, mixed))
    verdict = judge(the_trial, frozen, tuned)
    assert verdict.cold.low > 0
    assert not verdict.kept
    assert "may lose more than" in verdict.why


def test_no_shopper_with_a_held_out_text_proves_nothing():
    warm_only = events().filter(~pl.col("item_id").is_in(TEXTS.filter(pl.Series(HELD_OUT)).implode()))
    verdict = judge(trial_of(warm_only), vectors(1.0), vectors(6.0))
    assert not verdict.kept
    assert verdict.cold.users == 0
    assert "nothing is proven" in verdict.why


def test_what_happens_outside_the_validation_days_is_no_target(the_trial):
    log = events()
    later = log.with_columns(occurred_at=pl.col("occurred_at") + timedelta(days=60))
    both = pl.concat([log, later]).sort("occurred_at", "user_id", "item_id")
    assert (trial_of(both).wanted != the_trial.wanted).nnz == 0


def test_known_texts_are_no_targets_and_held_out_ones_are_in_no_history(the_trial):
    assert the_trial.wanted.multiply(the_trial.seen).nnz == 0
    assert the_trial.history[:, np.flatnonzero(HELD_OUT)].nnz == 0
    assert (the_trial.history.getnnz(axis=1) > 0).all()


def by_hand(the_trial, rows, among, k, offered=None):
    """Recall and NDCG of each shopper, with plain loops."""
    offered = rows if offered is None else offered
    recalls, gains = [], []
    for user in range(the_trial.wanted.shape[0]):
        wanted = {c for c in the_trial.wanted[user].nonzero()[1] if among[c]}
        if not wanted:
            continue
        seen = set(the_trial.seen[user].nonzero()[1])
        profile = np.asarray(the_trial.history[user] @ rows)[0]
        order = sorted(
            (c for c in np.flatnonzero(among) if c not in seen),
            key=lambda c: (-float(profile @ offered[c]), c),
        )[:k]
        hits = [c in wanted for c in order]
        recalls.append(sum(hits) / min(k, len(wanted)))
        ideal = sum(1 / np.log2(place + 2) for place in range(min(k, len(wanted))))
        gains.append(sum(hit / np.log2(place + 2) for place, hit in enumerate(hits)) / ideal)
    return recalls, gains


def test_recall_and_ndcg_equal_their_definitions():
    small = trial_of(events(shoppers=12))
    rows = vectors(3.0)
    np.testing.assert_allclose(
        recall(small, rows, HELD_OUT, COLD_K), by_hand(small, rows, HELD_OUT, COLD_K)[0], rtol=1e-6
    )
    np.testing.assert_allclose(
        ndcg(small, rows, ~HELD_OUT, WARM_K), by_hand(small, rows, ~HELD_OUT, WARM_K)[1], rtol=1e-6
    )


def test_two_sides_are_asked_with_one_and_offered_the_other():
    small, sides = trial_of(events(shoppers=12)), Sides(vectors(3.0), vectors(3.0, seed=1)[:, ::-1])
    by_loops = by_hand(small, sides.asked, HELD_OUT, COLD_K, sides.offered)[0]
    np.testing.assert_allclose(recall(small, sides, HELD_OUT, COLD_K), by_loops, rtol=1e-6)
    assert not np.allclose(by_loops, by_hand(small, sides.asked, HELD_OUT, COLD_K)[0])
    assert not np.allclose(by_loops, by_hand(small, sides.offered, HELD_OUT, COLD_K)[0])
    one = vectors(3.0)
    np.testing.assert_array_equal(
        ndcg(small, Sides(one, one), ~HELD_OUT, WARM_K), ndcg(small, one, ~HELD_OUT, WARM_K)
    )
