from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from recsys_tasks.errors import EmptyPartition
from recsys_tasks.training import tower_data as module
from recsys_tasks.training.tower_data import batches, tower_data
from tests.training.taste_shop import SMALL, UNTIL, WEIGHTS, examples, log, snapshot


def data(events=None, rows=None, **changed):
    settings = SMALL.model_copy(update=changed)
    events = log() if events is None else events
    return tower_data(events, examples() if rows is None else rows, settings, WEIGHTS, UNTIL)


def first_batch(made, **changed):
    return next(iter(batches(made, SMALL.model_copy(update=changed), np.random.default_rng(1))))


def test_the_vocabulary_is_what_somebody_took_before_the_end():
    late = log().with_columns(
        item_id=pl.when(pl.col("occurred_at") >= UNTIL).then(pl.lit("late")).otherwise("item_id")
    )
    assert data(late).item_ids.to_list() == snapshot().events["item_id"].unique().sort().to_list()


def test_no_history_reaches_its_examples_end():
    made = data()
    histories = made.histories
    for user, until, end in zip(made.users, made.until, made.ends, strict=True):
        mine = histories.times[histories.starts[user] : histories.starts[user + 1]]
        assert end - histories.starts[user] == (mine < until).sum()


def test_popularity_is_counted_as_of_each_examples_end():
    made, events = data(), log()
    batch_popularity = made.popularity[made.cuts]
    for example in (0, 100, len(made) - 1):
        cut = pl.from_epoch(pl.Series([made.until[example]]), time_unit="us").dt.replace_time_zone("UTC")[0]
        recent = events.filter(pl.col("occurred_at") < cut, pl.col("occurred_at") >= cut - timedelta(days=28))
        for place in (0, 7):
            buyers = recent.filter(pl.col("item_id") == made.item_ids[place])["user_id"].n_unique()
            assert batch_popularity[example, place, 1] == pytest.approx(np.log1p(buyers))


def test_examples_that_reach_beyond_the_end_are_left_out():
    rows = examples(weeks=2)
    beyond = rows.with_columns(positives_until=pl.lit(UNTIL, pl.Datetime("us", "UTC")))
    assert len(data(rows=pl.concat([rows, beyond.with_columns(pl.col("user_id") + "x")]))) == len(rows)


def test_nothing_to_learn_from_is_an_error_that_says_so():
    with pytest.raises(EmptyPartition, match="target_days"):
        data(rows=examples().head(0))


def test_newer_examples_weigh_more():
    made = data(example_half_life_days=7.0)
    ages = (made.until.max() - made.until) / 86_400e6
    assert made.weights / made.weights.max() == pytest.approx(2 ** (-ages / 7), abs=1e-5)


def test_own_positives_are_never_negatives():
    made = data()
    batch = first_batch(made)
    masked = set(zip(batch.masked_rows.tolist(), batch.masked_columns.tolist(), strict=True))
    column = {int(code): place for place, code in enumerate(batch.negatives)}
    for row, item in zip(batch.positive_rows.tolist(), batch.positives.tolist(), strict=True):
        assert (row, column[item]) in masked
    assert len(masked) == len(batch.positives)


def test_new_targets_mask_the_whole_history_and_keep_new_positives_only():
    made = data(targets="new")
    batch = first_batch(made, targets="new")
    masked = set(zip(batch.masked_rows.tolist(), batch.masked_columns.tolist(), strict=True))
    for place, row in enumerate(batch.rows):
        start = made.histories.starts[made.users[row]]
        own = set(made.histories.items[start : made.ends[row]].tolist())
        positives = set(batch.positives[batch.positive_rows == place].tolist())
        assert not own & positives
        assert {int(batch.negatives[c]) for r, c in masked if r == place} == own | positives


def test_an_epoch_takes_each_example_once():
    made = data()
    rows = np.concatenate([batch.rows for batch in batches(made, SMALL, np.random.default_rng(1))])
    assert sorted(rows) == list(range(len(made)))


def test_a_short_epoch_prefers_new_examples():
    made = data(example_half_life_days=7.0)
    short = SMALL.model_copy(update={"max_examples": 100})
    rows = np.concatenate([batch.rows for batch in batches(made, short, np.random.default_rng(1))])
    assert len(set(rows)) == len(rows) == 100
    assert made.until[rows].mean() > made.until.mean()


def test_sampled_negatives_estimate_the_sum_over_all_items(monkeypatch):
    monkeypatch.setattr(module, "FULL_SOFTMAX_BELOW", 0)
    rng = np.random.default_rng(1)
    counts, logits = rng.integers(1, 500, 300), rng.normal(size=300)
    estimates = []
    for _ in range(400):
        codes, correction = module._negatives(counts, 200, rng)
        assert len(set(codes)) == len(codes)
        estimates.append(np.exp(logits[codes] + correction).sum())
    assert np.mean(estimates) == pytest.approx(np.exp(logits).sum(), rel=0.02)


def test_a_small_catalogue_is_not_sampled():
    codes, correction = module._negatives(np.array([3, 0, 9]), 2, np.random.default_rng(1))
    assert codes.tolist() == [0, 1, 2]
    assert not correction.any()


def test_the_correction_is_as_strong_as_asked(monkeypatch):
    monkeypatch.setattr(module, "FULL_SOFTMAX_BELOW", 0)
    full, half, none = (first_batch(data(), logq=strength).correction for strength in (1.0, 0.5, 0.0))
    assert full.any()
    assert half == pytest.approx(full / 2)
    assert not none.any()
