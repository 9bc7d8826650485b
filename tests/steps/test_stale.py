import json
from datetime import date, timedelta

import pytest

from recsys_tasks.steps import build_pairs
from recsys_tasks.steps.ingest import run_range
from recsys_tasks.steps.lake_states import States
from recsys_tasks.steps.runner import run_step
from recsys_tasks.steps.stale import stale
from tests.lake.builders import filled, items, night, write_day
from tests.steps.log_shop import FIRST, make_log_shop, visits

DAYS = 16
NIGHTS = [str(FIRST + timedelta(days=DAYS - back)) for back in (3, 2, 1)]


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """Sixteen days of purchases, and the pairs of the last three nights."""
    shop = make_log_shop(tmp_path, monkeypatch)
    shop.log(*visits(DAYS))
    shop.products(("tent", "Tent"), ("mat", "Mat"))
    run_range(str(FIRST), NIGHTS[-1])
    for made in NIGHTS:
        run_step("build_pairs", made)
    return shop


def corrected(shop, day):
    """One more purchase is heard of, and its day is loaded again."""
    shop.log(("ann", "mat", f"{day} 18:00:00"))
    run_range(day, day, catalogue=False)


def test_nothing_is_stale_where_nothing_changed(shop):
    run_range(str(FIRST), NIGHTS[-1])
    assert stale() == []


def test_a_shop_without_a_night_has_no_stale_one(tmp_path, monkeypatch):
    make_log_shop(tmp_path, monkeypatch)
    assert stale() == []


def test_a_day_within_every_window_makes_no_pairs_stale(shop):
    corrected(shop, NIGHTS[0])
    assert stale() == []


def test_a_corrected_day_names_the_nights_that_read_it_and_what_they_cost(shop):
    """The day counts for the pairs of a night whose window begins behind it."""
    day = str(FIRST + timedelta(days=DAYS - 9))
    corrected(shop, day)
    found = stale()
    assert [(one["night"], one["days"], one["remade"]) for one in found] == [
        (made, [day], ["pairs"]) for made in NIGHTS[1:]
    ]
    assert all(one["seconds"] is not None and not one["catalogue"] for one in found)


def test_a_night_that_was_made_again_is_not_stale(shop):
    corrected(shop, str(FIRST))
    assert [one["night"] for one in stale()] == NIGHTS
    build_pairs.run(shop.job(NIGHTS[1]))
    assert [one["night"] for one in stale()] == [NIGHTS[0], NIGHTS[2]]


def test_the_cost_is_what_making_took_and_not_what_finding_it_made_takes(shop):
    """Pairs are made again, and a new run looks at the data again; other steps never ran."""
    run_step("check_data", NIGHTS[0])
    records = shop.folder / "home" / "records" / NIGHTS[0]
    for step, seconds in (("build_pairs", 50.0), ("check_data", 2.0)):
        record = json.loads((records / f"{step}.json").read_text())
        (records / f"{step}.json").write_text(json.dumps({**record, "made_seconds": seconds}))
    run_step("build_pairs", NIGHTS[0])
    corrected(shop, str(FIRST))
    assert stale()[0]["seconds"] == 52.0


def test_many_nights_at_once_are_told_what_each_is_told_alone(tmp_path):
    lake = filled(tmp_path)
    lake.write_items(items(tent="red tent"), night("2026-03-02"))
    lake.write_items(items(tent="blue tent", mat="mat"), night("2026-03-04"))
    write_day(lake, "2026-03-05")
    states = States(lake, night("2026-03-06"))
    for day in range(1, 7):
        one = night(str(date(2026, 3, day)))
        assert states.of(one) == lake.state(one)
