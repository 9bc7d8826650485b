"""What a replay needs; that it gives the old result again is shown by tests/integration/test_backfill.py."""

import pytest

from recsys_tasks.errors import MissingArtefact
from recsys_tasks.steps.replay import ReplayStore, replay
from tests.pairs.night import NIGHT
from tests.steps.log_shop import make_log_shop


def test_a_night_without_lists_cannot_be_replayed(tmp_path, monkeypatch):
    make_log_shop(tmp_path, monkeypatch)
    with pytest.raises(MissingArtefact, match="2026-03-05 has no lists"):
        replay("2026-03-05")


def test_lists_that_are_not_kept_are_named_with_those_that_are(tmp_path, monkeypatch):
    shop = make_log_shop(tmp_path, monkeypatch)
    job = shop.job("2026-03-05")
    with job.workspace.artefact("lists", job.night, inputs={}, settings={}, rooms=()) as draft:
        pass
    with pytest.raises(MissingArtefact, match=f"no lists abc; kept are {draft.fingerprint}"):
        replay("2026-03-05", "abc")


def test_a_decision_is_the_replay_s_own():
    store = ReplayStore()
    assert store.decision(NIGHT) is None
    store.record_decision(NIGHT, True, {"towers": "t"}, {"model": "m"}, {}, "for a test")
    store.record_metrics(NIGHT, "gate", [])
    found = store.decision(NIGHT)
    assert (found.accepted, found.refs, found.champion) == (True, {"towers": "t"}, {"model": "m"})
    assert found.revoked_at is None
