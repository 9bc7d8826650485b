from datetime import date
from io import StringIO

import pytest
from rich.console import Console

from recsys_tasks.evaluate.gate import CHALLENGER, POPULAR, REPEAT
from recsys_tasks.steps.history import walk_forward
from recsys_tasks.steps.history_page import print_audit, print_stale, print_walk
from recsys_tasks.store.store import open_store
from tests.steps.log_shop import make_log_shop

FIGURES = {CHALLENGER: 0.3, POPULAR: 0.1, REPEAT: 0.2}


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A shop with three decided nights, of which two are measured."""
    shop = make_log_shop(tmp_path, monkeypatch)
    store = open_store(f"sqlite:///{shop.folder / 'serve.db'}", tmp_path / "postgres")
    for day, accepted in ((1, False), (2, True), (3, True)):
        store.record_decision(date(2026, 3, day), accepted, {}, {}, {}, "for a test")
    store.record_metrics(date(2026, 3, 1), "measure", rows({POPULAR: 0.1, REPEAT: 0.2}))
    store.record_metrics(date(2026, 3, 2), "measure", rows(FIGURES))
    store.record_metrics(date(2026, 3, 3), "gate", rows(FIGURES))
    return store


def rows(figures):
    return [
        {"system": system, "slice": part, "metric": metric, "value": value + by}
        for system, value in figures.items()
        for part, by in (("all", 0.0), ("new", -0.05), ("no_history", 0.0))
        for metric in ("ndcg@10", "recall@10")
    ]


def test_each_measured_night_stands_beside_the_plain_rules(store):
    facts = walk_forward()
    assert [(n["night"], n["accepted"], n["made_by"]) for n in facts["nights"]] == [
        ("2026-03-01", False, POPULAR),
        ("2026-03-02", True, CHALLENGER),
    ]
    second = facts["nights"][1]["scores"]
    assert second["all"]["lists"] == {"ndcg@10": 0.3, "recall@10": 0.3}
    assert second["new"][REPEAT]["ndcg@10"] == pytest.approx(0.15)


def test_where_popularity_made_the_lists_its_figures_are_theirs(store):
    scores = walk_forward()["nights"][0]["scores"]["all"]
    assert scores["lists"] == scores[POPULAR]


def test_the_mean_is_over_the_nights_of_the_range(store):
    assert walk_forward()["mean"]["all"]["lists"]["ndcg@10"] == pytest.approx(0.2)
    assert walk_forward("2026-03-02")["mean"]["all"]["lists"]["ndcg@10"] == pytest.approx(0.3)
    assert walk_forward(last="2026-03-01")["nights"][-1]["night"] == "2026-03-01"


def printed(write, *facts):
    out = StringIO()
    write(Console(file=out, width=112), *facts)
    return out.getvalue()


def test_the_table_has_a_row_a_night_and_their_mean(store):
    page = printed(print_walk, walk_forward())
    for words in ("everything the shopper took", "new to the shopper", "popular", "repeat"):
        assert words in page
    assert [line.split()[1] for line in page.splitlines() if "2026-03" in line] == [
        "2026-03-01",
        "2026-03-02",
    ] * 2
    assert page.count("mean") == 2
    assert "0.3000" in page


def test_no_measured_night_says_what_to_do(store):
    assert "run measure" in printed(print_walk, walk_forward("2026-03-03"))


def test_stale_nights_are_told_with_what_they_cost():
    night = {
        "night": "2026-03-02",
        "days": ["2026-03-01"],
        "catalogue": True,
        "remade": ["lists"],
        "seconds": 61.4,
    }
    page = printed(print_stale, [night, {**night, "night": "2026-03-03", "days": [], "seconds": None}])
    assert "2026-03-01; catalogue" in page
    assert "2 nights, 61 seconds" in page
    assert "every night" in printed(print_stale, [])


def test_an_audit_lists_every_rule():
    finding = {"what": "item in a list that was not offered yet", "count": 3, "example": "unborn"}
    rules = {"lists_of_the_night": [finding], "unstable_order": []}
    page = printed(print_audit, {"night": "2026-03-02", "lake": "recorded", "rules": rules})
    assert "item in a list that was not offered yet" in page
    assert "unstable order" in page
