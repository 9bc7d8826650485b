from dataclasses import replace
from datetime import timedelta

import polars as pl
import pytest

from recsys_tasks.lake.snapshot import Snapshot
from recsys_tasks.pairs.coding import code_log
from recsys_tasks.pairs.examples import basket_examples
from recsys_tasks.schema import Catalogue
from recsys_tasks.settings import PairSettings
from recsys_tasks.steps.refit_audit import leaks
from tests.pairs.shop import WEIGHTS, log

# Two shoppers over five weeks; the night ends behind the last event.
LOG = log(
    *((user, f"{user}{n % 3}", "purchase", 5.0 * n) for user in ("ann", "bob") for n in range(7)),
    ("ann", "bob1", "view", 12.0),
)
AS_OF = LOG["occurred_at"].max() + timedelta(hours=1)
SHOP = Snapshot(AS_OF, LOG, Catalogue.create_empty())


@pytest.fixture
def examples():
    settings = PairSettings(target_days=7, history_days=28)
    return basket_examples(LOG, settings, WEIGHTS, AS_OF, target_events=["purchase"])


def found(examples, shop=SHOP):
    coded = code_log(shop.events, WEIGHTS, AS_OF)
    return {finding.rule for finding in leaks(shop, coded, examples, AS_OF)}


def last(examples, **changed):
    place = pl.int_range(pl.len()) == len(examples) - 1
    return examples.with_columns(
        **{name: pl.when(place).then(value).otherwise(name) for name, value in changed.items()}
    )


def test_what_is_made_up_to_the_nights_end_is_clean(examples):
    assert len(examples) > 3
    assert found(examples) == set()


def test_an_event_at_the_nights_end_is_found(examples):
    late = LOG.with_columns(pl.col("occurred_at") + (AS_OF - LOG["occurred_at"].max()))
    assert "event at or after the night's end" in found(examples, replace(SHOP, events=late))


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"positives_until": AS_OF}, "target at or after the night's end"),
        ({"history_until": AS_OF + timedelta(microseconds=1)}, "history that runs past the night's end"),
        ({"history_until": AS_OF}, "target that did not happen after its history"),
        (
            {"is_new": pl.col("is_new").list.eval(~pl.element())},
            "target wrongly called new or known",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_planted_leak_is_found(examples, changed, rule):
    assert rule in found(last(examples, **changed))
