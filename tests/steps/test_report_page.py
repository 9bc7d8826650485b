import pytest

from recsys_tasks.steps.report_page import page_text

COST = {"seconds": 1.25, "peak_mb": 812.4}
ROWS = [
    {"system": "challenger", "users": 120, "recall@10": 0.31, "ndcg@10": 0.33},
    {
        "system": "popular_7_days",
        "users": 120,
        "recall@10": 0.11,
        "ndcg@10": 0.12,
        "ahead_recall@10": [0.2, 0.18, 0.22],
        "ahead_ndcg@10": [0.21, 0.19, 0.23],
    },
]
STEPS = {
    "extract_events": {
        "events": 90,
        "read": 100,
        "first": "2026-03-01",
        "rejected": {"no user": 4},
        "filtered": {},
    },
    "train_towers": {"loss_first": 9.5, "loss_last": 8.6, "epochs": 4, "examples": 83_468, "warm": False},
    "train_ranker": {"fitted": False, "why": "too little was taken"},
    "build_index": {"items": 1000, "recall_vs_exact": 1.0},
    "evaluate": {
        "slices": {"all": ROWS, "no_history": [row | {"users": 2} for row in ROWS]},
        "window": ["2026-02-22T00:00:00+00:00", "2026-03-01T00:00:00+00:00"],
        "champion": {"is_popular": True},
    },
    "gate": {"accepted": True, "why": "accepted on NDCG@10", "champion": "popular/7-days"},
    "refit_towers": {"fitted": False, "asked": False, "why": "towers.refit_epochs is 0"},
    "publish": {"generation": 3, "rows": 2400, "live": True, "why": "these lists are live already"},
}


def page(zone="UTC", **changes):
    steps = {name: COST | facts | changes.get(name, {}) for name, facts in STEPS.items()}
    return page_text({"shop": "tents", "night": "2026-03-01", "zone": zone, "steps": steps})


@pytest.mark.parametrize(
    ("zone", "window"),
    [
        ("UTC", ["2026-02-22T00:00:00+00:00", "2026-03-01T00:00:00+00:00"]),
        ("Asia/Shanghai", ["2026-02-21T16:00:00+00:00", "2026-02-28T16:00:00+00:00"]),
        ("America/New_York", ["2026-02-22T05:00:00+00:00", "2026-03-01T05:00:00+00:00"]),
    ],
)
def test_a_window_is_told_by_its_first_and_last_day_in_the_shops_zone(zone, window):
    assert "the gate's window, 2026-02-22 to 2026-02-28:" in page(zone, evaluate={"window": window})


@pytest.mark.parametrize(
    "words",
    [
        "rejected  no user 4",
        "loss 9.500 -> 8.600",
        "recall against exact search 1.0000",
        "popular 7 days (champion)",
        "+0.2100 [+0.1900, +0.2300]",
        "tonight's lists come from tonight's model",
        "3, 2,400 rows, live",
        "812",
    ],
)
def test_the_page_says(words):
    assert words in page()


def test_a_slice_of_a_few_shoppers_is_no_table():
    assert "shoppers without history: 2, too few to tell" in page()


def test_a_refused_model_is_told_with_who_makes_the_lists():
    told = page(gate={"accepted": False, "why": "refused on NDCG@10", "champion": "towers/2026-02-28/ab"})
    assert "lists come from the champion (towers/2026-02-28/ab)" in told


def test_a_shop_too_young_for_towers_is_told_why():
    told = page(train_towers={"fitted": False, "why": "20 days of history"}, build_index={"fitted": False})
    assert "towers      none: 20 days of history" in told


def test_lists_that_did_not_go_live_say_why():
    assert "not live: a newer night is live" in page(publish={"live": False, "why": "a newer night is live"})


def test_a_refit_is_told_where_one_was_asked_for():
    made = {
        "fitted": True,
        "loss_first": 8.1,
        "loss_last": 8.0,
        "epochs": 1,
        "examples": 90,
        "recall_vs_exact": 1,
    }
    line = "refit       loss 8.100 -> 8.000; 1 epochs on to the night's end, over 90 examples"
    assert line in page(refit_towers=made)
    none = page(refit_towers={"asked": True, "why": "the champion makes tonight's lists"})
    assert "refit       none: the champion makes tonight's lists" in none
    assert "refit  " not in page().split("what each step cost")[0]


HEAD = {"rows": 900, "groups": 40, "hits": 80}


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (
            {"all": (0.0, "by a cut held out"), "new": (0.18, "by a cut held out")},
            "new 0.18 (by a cut held out)",
        ),
        ({"all": (0.7, "set by hand")}, "all 0.7 (set by hand)"),
        ({"all": (0.0, "by a cut held out")}, None),
    ],
)
def test_where_the_towers_count_beside_the_ranker_it_says_how_much_and_why(weights, words):
    heads = {
        name: HEAD | {"tower_weight": weight, "tower_weight_is": how}
        for name, (weight, how) in weights.items()
    }
    told = page(train_ranker={"fitted": True, "reused": False, "heads": heads})
    line = f"the towers' own score counts beside it: {words}"
    assert line in told if words else "own score" not in told


def test_a_ranker_of_before_the_towers_had_a_weight_is_told_without():
    told = page(train_ranker={"fitted": True, "reused": True, "heads": {"all": HEAD}})
    assert "own score" not in told
    assert "learned from all 40 lists (an earlier night's, used again)" in told
