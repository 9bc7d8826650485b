from dataclasses import replace

import polars as pl
import pytest

from recsys_tasks.errors import LeakFound
from recsys_tasks.settings import RankerSettings
from recsys_tasks.steps import encoder_ground, finetune_encoder
from recsys_tasks.steps.encoder_ground import gate_cut
from recsys_tasks.steps.ranker_plan import preferred
from recsys_tasks.training.encoder_data import as_texts
from tests.pairs.night import NIGHT
from tests.steps.encoder_night import encoder_job


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    return encoder_job(tmp_path_factory.mktemp("ground"))


def with_days(job, days, label_days):
    ranker = RankerSettings(days=days, label_days=label_days, enough_taken=1)
    return replace(job, settings=replace(job.settings, ranker=ranker))


def known(job):
    snapshot = job.lake.snapshot(NIGHT.train_until)
    return as_texts(snapshot.events, snapshot.items)


def test_training_ends_where_the_rankers_days_begin(job):
    far = with_days(job, 42, 14)
    (first, *_) = next(preferred(far))
    assert gate_cut(far, known(job)) == first.at == NIGHT.days_before_end(NIGHT.gate_days + 42)


def test_the_gates_days_are_as_many_as_it_asks_for_where_the_rankers_are_fewer(job):
    near = with_days(job, 14, 7)
    cut = gate_cut(near, known(job))
    assert cut == NIGHT.days_before_end(NIGHT.gate_days + 28)
    assert cut < next(preferred(near))[0].at


def test_days_that_the_log_does_not_reach_end_no_training(job):
    """The ranker learns from later cuts there, down to the newest labels alone."""
    events = known(job)
    late = events.filter(pl.col("occurred_at") >= NIGHT.days_before_end(NIGHT.gate_days + 50))
    assert gate_cut(with_days(job, 56, 35), late) == NIGHT.days_before_end(NIGHT.gate_days + 35)


@pytest.mark.parametrize(
    ("name", "made", "told"),
    [
        ("named_pairs", lambda rows: rows.with_columns(occurred_at=pl.lit(NIGHT.as_of)), "pair at or after"),
        (
            "named_negatives",
            lambda rows: rows.with_columns(negative_id=pl.col("anchor_id")),
            "negative that its shopper had touched: ",
        ),
    ],
)
def test_the_encoders_own_pairs_are_audited_too(tmp_path, monkeypatch, name, made, told):
    """They are made as of the encoder's cut, so the night's audit has not seen them."""
    job, right = encoder_job(tmp_path, objective="pairs"), getattr(encoder_ground, name)
    monkeypatch.setattr(encoder_ground, name, lambda *given: made(right(*given)))
    with pytest.raises(LeakFound, match=f"the encoder would learn from the future:\n{told}"):
        finetune_encoder.run(job)
