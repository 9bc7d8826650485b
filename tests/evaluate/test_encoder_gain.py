import numpy as np
import polars as pl
import pytest

from recsys_tasks.errors import EmptyPartition
from recsys_tasks.evaluate.encoder_gain import gain
from recsys_tasks.evaluate.encoder_gate import COLD_K, WARM_K, ndcg, recall
from tests.evaluate.test_encoder_gate import CUT, HELD_OUT, TEXTS, events, trial_of, vectors

DULL, CLEAR = vectors(0.5), vectors(2.0)


def test_the_value_is_the_mean_of_both_relative_gains():
    asked = trial_of(events())
    found = gain(asked, DULL, CLEAR)
    warm = [ndcg(asked, v, ~HELD_OUT, WARM_K).mean() for v in (DULL, CLEAR)]
    cold = [recall(asked, v, HELD_OUT, COLD_K).mean() for v in (DULL, CLEAR)]
    assert found.value == pytest.approx((warm[1] / warm[0] - 1) / 2 + (cold[1] / cold[0] - 1) / 2)
    assert (found.warm_frozen, found.warm) == pytest.approx(warm)
    assert (found.cold_frozen, found.cold) == pytest.approx(cold)
    assert found.value > 0


def test_the_frozen_encoder_itself_gains_nothing():
    assert gain(trial_of(events()), DULL, DULL).value == 0.0


def test_a_slice_that_nobody_can_be_asked_about_counts_as_no_gain():
    cold = TEXTS.filter(pl.Series(HELD_OUT)).implode()
    log = events().filter(~(pl.col("item_id").is_in(cold) & (pl.col("occurred_at") >= CUT)))
    asked = trial_of(log)
    found = gain(asked, DULL, CLEAR)
    warm = [ndcg(asked, v, ~HELD_OUT, WARM_K).mean() for v in (DULL, CLEAR)]
    assert found.value == pytest.approx((warm[1] / warm[0] - 1) / 2)
    assert found.cold == found.cold_frozen == 0.0


def test_without_anybody_to_ask_there_is_nothing_to_search_by():
    with pytest.raises(EmptyPartition, match="nothing to search by"):
        gain(trial_of(events().filter(pl.col("occurred_at") < CUT)), DULL, CLEAR)


def test_a_frozen_encoder_that_finds_nothing_makes_no_endless_gain():
    asked = trial_of(events())
    lost = np.zeros_like(CLEAR)
    assert np.isfinite(gain(asked, lost, CLEAR).value)
