"""What a script reads about the nights."""

import json
from io import StringIO

import pytest
from rich.console import Console

from recsys_tasks.errors import PublishRefused
from recsys_tasks.settings import load_settings
from recsys_tasks.steps.status import status
from recsys_tasks.steps.status_page import print_status
from recsys_tasks.store.store import open_store
from recsys_tasks.workspace import Workspace
from tests.shop import make_shop
from tests.store.builders import MONDAY, TUESDAY, WEDNESDAY, candidate, lists


@pytest.fixture
def settings(tmp_path, monkeypatch):
    shop = make_shop(tmp_path / "shop", encoder=tmp_path, shoppers=3, days=20)
    monkeypatch.setenv("RECSYS_SHOP", str(shop.file))
    return load_settings()


@pytest.fixture
def store(settings, tmp_path):
    return open_store(settings.database, tmp_path)


def record(settings, night, step, **facts):
    folder = Workspace(settings.home).records(settings.night(str(night)))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{step}.json").write_text(json.dumps(facts))


def test_a_shop_without_nights(store):
    facts = status()
    assert facts["database"].startswith("sqlite:///")
    assert (facts["live"], facts["nights"]) == (None, [])


def test_a_night_in_figures(settings, store):
    record(settings, MONDAY, "check_data", events=90, rejected={"no user": 7, "bad time": 3})
    record(settings, MONDAY, "build_pairs", pairs=55)
    store.record_decision(MONDAY, True, {"towers": "t"}, {}, {}, "better than popular")
    store.record_metrics(
        MONDAY, "gate", [{"system": "popular", "slice": "all", "metric": "ndcg@10", "value": 0.1}]
    )
    store.publish(candidate(), [lists()])
    night = json.loads(json.dumps(status()))["nights"][0]
    assert night == {
        "night": "2026-03-02",
        "state": "live",
        "events": 90,
        "rejected": 10,
        "pairs": 55,
        "decision": {"accepted": True, "why": "better than popular", "revoked": None},
        "metrics": [
            {
                "kind": "gate",
                "system": "popular",
                "slice": "all",
                "metric": "ndcg@10",
                "value": 0.1,
                "low": None,
                "high": None,
            }
        ],
        "why": None,
    }


def states():
    return [night["state"] for night in status()["nights"]]


def test_what_became_of_each_night(settings, store):
    record(settings, "2026-03-01", "extract_events", events=5, rejected={})
    store.publish(candidate(MONDAY), [lists()])
    store.publish(candidate(TUESDAY), [lists()])
    with pytest.raises(PublishRefused):
        store.publish(candidate(WEDNESDAY), [lists(users=())])
    assert states() == ["incomplete", "published", "live", "refused"]
    store.rollback(why="bad", who="me")
    assert states() == ["incomplete", "live", "published", "refused"]
    store.publish(candidate(WEDNESDAY), [lists()], dry_run=True)
    assert states()[-1] == "dry_run"


def test_why_a_night_is_not_what_readers_see(store):
    for night in (MONDAY, TUESDAY):
        store.publish(candidate(night), [lists()])
    with pytest.raises(PublishRefused):
        store.publish(candidate(WEDNESDAY), [lists(("ann",))])
    store.rollback(why="bad prices", who="me")
    monday, tuesday, wednesday = (night["why"] for night in status()["nights"])
    assert (monday, tuesday) == (None, "bad prices")
    assert "3 rows against 6 of the live generation" in wednesday
    page = page_of(status())
    assert "bad prices" in page
    assert "3 rows against 6" in page


def test_why_newer_lists_of_the_live_night_are_not_shown(store):
    store.publish(candidate(TUESDAY), [lists()])
    with pytest.raises(PublishRefused):
        store.publish(candidate(TUESDAY, lists_ref="lists/again"), [lists(("ann",))])
    (tuesday,) = status()["nights"]
    assert tuesday["state"] == "live"
    assert "3 rows against 6 of the live generation" in tuesday["why"]


def page_of(facts):
    buffer = StringIO()
    print_status(Console(file=buffer, width=200, color_system=None), facts)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.5, "2 shoppers (50.0% of them with the fallback list), 6 rows, made by model of 2026-03-02"),
        (None, "2 shoppers, 6 rows, made by model of 2026-03-02"),
    ],
)
def test_the_fallback_is_a_share_of_shoppers(store, share, words):
    store.publish(candidate(fallback_share=share), [lists()])
    assert words in page_of(status())


def test_other_folders_among_the_records_are_passed_over(settings, store):
    (settings.home / "records" / "ingest").mkdir(parents=True)
    assert status()["nights"] == []
