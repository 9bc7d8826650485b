import sys
import types
from datetime import date

import pytest

from recsys_tasks.errors import Busy, MissingArtefact, NightOutOfRange, PublishRefused
from recsys_tasks.steps import NIGHT_STEPS
from recsys_tasks.steps.backfill import backfill_night, measure_what_can_be, nights_between
from recsys_tasks.steps.job import Options
from recsys_tasks.steps.runner import night_alone
from tests.steps.log_shop import make_log_shop, visits

NIGHT = "2026-03-05"
DRY = Options(publish="dry_run")


@pytest.fixture
def shop(tmp_path, monkeypatch):
    return make_log_shop(tmp_path, monkeypatch)


@pytest.fixture
def steps(monkeypatch):
    """Stand in for every step; the list collects their names and how they were asked to publish."""
    ran = []
    for name in NIGHT_STEPS:
        module = types.ModuleType(f"recsys_tasks.steps.{name}")
        module.run = lambda job, name=name: ran.append((name, job.options.publish)) or {}
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return ran


def failing(monkeypatch, name, error):
    def run(job):
        raise error

    monkeypatch.setattr(sys.modules[f"recsys_tasks.steps.{name}"], "run", run)


def test_the_nights_of_a_range_are_in_their_order(shop):
    assert nights_between("2026-02-27", "2026-03-01") == ["2026-02-27", "2026-02-28", "2026-03-01"]


@pytest.mark.parametrize(
    ("first", "last"), [("2026-03-02", "2026-03-01"), ("2026-03-02", "soon"), ("2026-03-02", "2999-01-01")]
)
def test_what_is_no_range_of_past_nights_is_refused(shop, first, last):
    with pytest.raises(NightOutOfRange):
        nights_between(first, last)


def test_nights_behind_the_end_of_the_log_are_refused(tmp_path, monkeypatch):
    make_log_shop(tmp_path, monkeypatch, last_night=date(2026, 3, 3))
    with pytest.raises(NightOutOfRange, match="log ends with 2026-03-03"):
        nights_between("2026-03-01", "2026-03-04")
    assert nights_between("2026-03-03", "2026-03-03") == ["2026-03-03"]


def test_every_step_runs_in_order_and_none_publishes(shop, steps):
    assert list(backfill_night(NIGHT, DRY)) == list(NIGHT_STEPS)
    assert steps == [(name, "dry_run") for name in NIGHT_STEPS]


def test_a_day_without_events_is_left_out(shop, caplog):
    shop.products(("tent", "Tent"))
    assert list(backfill_night(NIGHT, DRY)) == ["extract_events"]
    assert f"night {NIGHT} is left out" in caplog.text


def test_lists_that_the_audit_refuses_do_not_end_it(shop, steps, monkeypatch, caplog):
    failing(monkeypatch, "publish", PublishRefused("too few lists"))
    assert list(backfill_night(NIGHT, DRY))[-1] == "report"
    assert "too few lists" in caplog.text


def test_any_other_error_ends_it(shop, steps, monkeypatch):
    failing(monkeypatch, "build_index", MissingArtefact("no towers"))
    with pytest.raises(MissingArtefact):
        list(backfill_night(NIGHT, DRY))


def test_a_night_that_somebody_works_on_is_not_begun(shop, steps):
    with night_alone(NIGHT), pytest.raises(Busy):
        list(backfill_night(NIGHT, DRY))
    assert steps == []


def test_nights_without_lists_or_without_the_days_after_them_wait_to_be_measured(shop):
    shop.log(*visits(3))
    assert measure_what_can_be([NIGHT]) == [NIGHT]
