from datetime import date
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given

from recsys_tasks.calendar import Night
from recsys_tasks.lake.snapshot import Snapshot
from recsys_tasks.pairs.audit import RULES, Evidence, Finding, audit, models_from_the_future, night_of_ref
from recsys_tasks.pairs.examples import basket_examples
from recsys_tasks.pairs.negatives import sample_negatives
from recsys_tasks.pairs.positives import positive_pairs
from recsys_tasks.schema import Catalogue
from recsys_tasks.settings import NegativeShares, PairSettings
from tests.pairs.logs import rows
from tests.pairs.shop import WEIGHTS, log

# Ends on the fiftieth day of the year.
NIGHT = Night(date(2026, 2, 19), ZoneInfo("UTC"), gate_days=7)
SETTINGS = PairSettings(target_days=7, history_days=40, max_positives=3)


MIXED = SETTINGS.model_copy(
    update={
        "negatives": NegativeShares(popular=0.25, uniform=0.25, other_shopper=0.25, hard=0.25),
        "session_gap_minutes": 600,
    }
)


def evidence_of(events, models=None, settings=SETTINGS):
    before = events.filter(events["occurred_at"] < NIGHT.as_of)
    pairs = positive_pairs(before, settings, WEIGHTS, NIGHT.train_until)
    return Evidence(
        night=NIGHT,
        snapshot=Snapshot(NIGHT.as_of, before, Catalogue.create_empty()),
        pairs=pairs,
        negatives=sample_negatives(pairs, before, settings, 1, NIGHT.train_until),
        examples=basket_examples(before, settings, WEIGHTS, NIGHT.train_until, target_events=["purchase"]),
        models=models or {},
    )


@pytest.mark.parametrize("settings", [SETTINGS, MIXED], ids=["defaults", "every kind of negative"])
@given(rows)
def test_what_the_builders_make_is_always_clean(settings, rows):
    assert audit(evidence_of(log(*rows), settings=settings)) == {name: [] for name in RULES}


def test_an_empty_log_is_clean():
    assert audit(evidence_of(log())) == {name: [] for name in RULES}


def test_a_finding_reads_as_a_sentence():
    assert (
        str(Finding("pair inside the window", 3, "user_id ann"))
        == "pair inside the window: 3, for example user_id ann"
    )


@pytest.mark.parametrize(
    ("models", "found"),
    [
        ({}, 0),
        ({"towers/2026-02-18/ab": []}, 0),
        ({"towers/2026-02-19/ab": []}, 1),
        ({"towers/2026-02-20/ab": []}, 1),
        ({"towers/2026-02-18/ab": ["encoder/2026-02-18/cd", "towers/2026-02-17/ef"]}, 0),
        ({"towers/2026-02-17/ab": ["encoder/2026-02-18/cd"]}, 1),
        ({"towers/2026-02-18/ab": ["encoder/2026-02-20/cd"]}, 1),
    ],
)
def test_models_must_come_from_the_past_all_the_way_back(models, found):
    assert len(list(models_from_the_future(evidence_of(log(), models)))) == found


def test_what_names_no_artefact_is_a_mistake_of_the_caller():
    assert night_of_ref("towers/2026-02-18/ab") == "2026-02-18"
    with pytest.raises(ValueError, match="expected name/night/fingerprint"):
        night_of_ref("towers")
