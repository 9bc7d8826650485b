import io

import polars as pl
import pytest
from rich.console import Console

from recsys_tasks.errors import DataError
from recsys_tasks.steps.ingest import run_range
from recsys_tasks.steps.show import shopper, some_shoppers
from recsys_tasks.steps.show_page import print_shopper
from tests.steps.log_shop import make_log_shop, visits
from tests.store.builders import candidate, lists

DAY = "2026-03-02"


@pytest.fixture
def job(tmp_path, monkeypatch):
    """Two days of two shoppers in the lake; Monday's lists are live."""
    shop = make_log_shop(tmp_path, monkeypatch)
    shop.log(*visits(2))
    shop.products(("tent", "Red tent"), ("tea", "Green tea"))
    run_range("2026-03-01", DAY)
    opened = shop.job(DAY)
    opened.store.publish(candidate(), [lists()], known_items=pl.Series(["tea", "milk", "rye"]))
    return opened


def test_history_is_told_newest_first_by_the_shop_s_own_days(job):
    told = shopper(job, "ann").history
    assert [(str(taken.day), taken.title) for taken in told] == [
        ("2026-03-02", "Red tent"),
        ("2026-03-01", "Red tent"),
    ]


def test_the_list_is_the_live_one_in_titles_and_reasons(job):
    first = shopper(job, "ann").offers[0]
    assert (first.rank, first.title, first.reason) == (1, "Green tea", "you bought tea before")


def test_an_item_without_a_title_is_called_by_its_id(job):
    assert shopper(job, "ann").offers[1].title == "milk"


def test_the_caption_names_the_night_of_the_list_not_of_the_history(job):
    earlier = type(job)(job.settings, job.night.shift(-1))
    assert shopper(earlier, "ann").night == "2026-03-02"


def test_a_shopper_nobody_knows_is_an_error(job):
    with pytest.raises(DataError, match="zoe"):
        shopper(job, "zoe")


def test_some_shoppers_are_of_the_recent_log(job):
    assert set(some_shoppers(job, 3)) == {"ann", "bob"}


def test_the_page_has_history_left_and_list_right(job):
    page = io.StringIO()
    print_shopper(Console(file=page, width=100), shopper(job, "ann"))
    line = next(line for line in page.getvalue().splitlines() if "Green tea" in line)
    assert line.index("Red tent") < line.index("Green tea: you bought tea before")
