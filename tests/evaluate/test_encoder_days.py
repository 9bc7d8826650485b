from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from recsys_tasks.evaluate import encoder_days
from recsys_tasks.evaluate.encoder_days import DAYS, shoppers_to_ask, validation_cut

UNTIL = datetime(2026, 3, 1, tzinfo=UTC)
COLD = pl.Series("item_id", ["cold"])


def log(*rows):
    """Rows of (user, text, days before UNTIL[, event type])."""
    whole = [(*row, "purchase")[:4] for row in rows]
    frame = pl.DataFrame(whole, schema=["user_id", "item_id", "days", "event_type"], orient="row")
    at = (pl.lit(UNTIL) - pl.duration(days="days")).cast(pl.Datetime("us", "UTC"))
    return frame.with_columns(occurred_at=at).drop("days")


def cut_days(events):
    cut = validation_cut(
        events,
        COLD,
        until=UNTIL,
        days_before=lambda days: UNTIL - timedelta(days=days),
        target_events=["purchase"],
    )
    return (UNTIL - cut).days


def known_before(days):
    """A first shopper makes the cold text known, and the log long enough for everything."""
    return ("first", "cold", days)


def test_a_shopper_is_asked_who_has_a_history_and_takes_a_known_cold_text_for_the_first_time():
    events = log(
        known_before(2000),
        ("asked", "warm", 50),
        ("asked", "cold", 10),
        ("no history", "cold", 10),
        ("not the first time", "cold", 60),
        ("not the first time", "cold", 10),
        ("only looked", "warm", 50),
        ("only looked", "cold", 10, "view"),
        ("took what is warm", "warm", 50),
        ("took what is warm", "other", 10),
        ("looked and took behind the cut", "warm", 50),
        ("looked and took behind the cut", "cold", 20, "view"),
        ("looked and took behind the cut", "cold", 10),
    )
    assert shoppers_to_ask(events, COLD, UNTIL - timedelta(days=28), ["purchase"]) == 2


def test_a_cold_text_that_nobody_knew_at_the_cut_is_not_asked_for():
    events = log(("asked", "warm", 50), ("asked", "cold", 10))
    assert shoppers_to_ask(events, COLD, UNTIL - timedelta(days=28), ["purchase"]) == 0


@pytest.mark.parametrize("taken_before", [10, 40, 100, 200])
def test_the_days_are_as_few_as_hold_enough_shoppers(monkeypatch, taken_before):
    monkeypatch.setattr(encoder_days, "ENOUGH_SHOPPERS", 3)
    takers = [row for n in range(3) for row in ((f"u{n}", "warm", 900), (f"u{n}", "cold", taken_before))]
    assert cut_days(log(known_before(2000), *takers)) == min(days for days in DAYS if days >= taken_before)


def test_too_few_shoppers_take_the_most_days_there_are():
    assert cut_days(log(known_before(2000), ("asked", "warm", 50))) == DAYS[-1]


@pytest.mark.parametrize(("log_days", "expected"), [(30, 28), (100, 28), (300, 56), (500, 112)])
def test_a_young_log_keeps_three_quarters_for_learning(log_days, expected):
    assert cut_days(log(known_before(log_days))) == expected


def test_a_log_without_events_has_a_cut_all_the_same():
    assert cut_days(log(known_before(1)).clear()) == DAYS[0]
