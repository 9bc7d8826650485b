from datetime import timedelta

import pytest

from recsys_tasks.recommend.rules import allowed_items
from recsys_tasks.settings import RuleSettings
from tests.recommend.shop import NIGHT_END, bought, catalogue, log, snapshot

EVENTS = log(*bought("ann", "cup", 2), *bought("ann", "mat", 40))
DAY = timedelta(days=1)


def allowed(items, **rules):
    at = snapshot(EVENTS, items)
    mask, dropped = allowed_items(at, RuleSettings(**rules))
    return at.items["item_id"].filter(mask).to_list(), {rule: n for rule, n in dropped.items() if n}


@pytest.mark.parametrize(
    ("why", "rules", "left", "dropped"),
    [
        ("no rule", {}, ["cup", "mat", "tea"], {}),
        ("blocked item", {"blocked_items": ["mat"]}, ["cup", "tea"], {"blocked_item": 1}),
        ("blocked category", {"blocked_categories": ["t"]}, ["cup", "mat"], {"blocked_category": 1}),
        ("not sold lately", {"availability_days": 30}, ["cup"], {"not_sold_lately": 2}),
        (
            "counted once",
            {"blocked_items": ["mat"], "blocked_categories": ["m"]},
            ["cup", "tea"],
            {"blocked_item": 1},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_rule_leaves_out_its_items_and_counts_them(why, rules, left, dropped):
    assert allowed(catalogue("cup", "mat", "tea"), **rules) == (left, dropped)


def test_an_assumed_item_nobody_touched_is_not_offered():
    assert allowed(catalogue("cup", "tea", proven=[False, False])) == (["cup"], {"not_offered": 1})


def test_a_launch_needs_no_sales_yet():
    items = catalogue("cup", "tea", available_from=[None, NIGHT_END - 3 * DAY])
    assert allowed(items, availability_days=30)[0] == ["cup", "tea"]


def test_an_item_outside_its_time_is_not_offered():
    items = catalogue(
        "cup", "mat", available_from=[NIGHT_END + DAY, None], available_until=[None, NIGHT_END - DAY]
    )
    assert allowed(items) == ([], {"not_offered": 2})


def test_an_item_without_category_is_not_blocked():
    items = catalogue("cup", "tea", category=[None, "t"])
    assert allowed(items, blocked_categories=["t"])[0] == ["cup"]
