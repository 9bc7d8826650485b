from dataclasses import replace

import pytest

from recsys_tasks.errors import EmptyPartition, MissingArtefact
from recsys_tasks.index.index import ItemIndex
from recsys_tasks.settings import RuleSettings
from recsys_tasks.steps import build_index, recommend, train_towers
from recsys_tasks.steps.build_index import run
from tests.pairs.night import NIGHT
from tests.steps.list_night import ListShop, decided, list_job
from tests.steps.tower_night import TowerJob, tower_job


@pytest.fixture
def job(tmp_path) -> TowerJob:
    job = tower_job(tmp_path)
    train_towers.run(job)
    return job


def test_the_index_holds_what_tonights_lists_may_hold(job):
    facts = run(job)
    index = ItemIndex.load(job.workspace.at(facts["artefact"]).path)
    assert index.item_ids.to_list() == job.lake.snapshot(NIGHT.as_of).eligible().to_list()
    # Sold from the window on only: the towers never saw it, tonight's lists may hold it.
    assert "launch" in index.item_ids


def test_the_shops_rules_hold_for_the_index_and_make_another(job):
    everything = run(job)
    strict = replace(job, settings=replace(job.settings, rules=RuleSettings(blocked_items=["i01", "i02"])))
    facts = run(strict)
    assert not facts["reused"]
    assert facts["items"] == everything["items"] - 2
    assert "i01" not in ItemIndex.load(job.workspace.at(facts["artefact"]).path).item_ids


def test_rules_that_leave_no_item_make_no_index(job):
    blocked = RuleSettings(blocked_items=job.lake.snapshot(NIGHT.as_of).eligible().to_list())
    with pytest.raises(EmptyPartition, match="blocked_item"):
        run(replace(job, settings=replace(job.settings, rules=blocked)))


def test_the_manifest_tells_recall_items_and_width(job):
    facts = run(job)
    assert facts["recall_vs_exact"] == 1.0
    assert (facts["items"], facts["dim"], facts["kind"]) == (41, 13, "Flat")
    assert job.workspace.at(facts["artefact"]).metrics["recall_vs_exact"] == 1.0


def test_a_second_run_reuses_it(job):
    assert [run(job)["reused"] for _ in range(2)] == [False, True]


def test_no_more_shoppers_than_the_sample_are_checked(job, monkeypatch):
    seen = []
    monkeypatch.setattr(build_index, "CHECKED_USERS", 5)
    monkeypatch.setattr(ItemIndex, "self_check", lambda index, users: seen.append(len(users)) or 1.0)
    run(job)
    assert seen == [5]


def test_towers_must_be_there_first(tmp_path):
    with pytest.raises(MissingArtefact, match="towers"):
        run(tower_job(tmp_path))


def test_tonights_lists_search_this_index_and_no_other(tmp_path, monkeypatch):
    rules = RuleSettings(blocked_items=["i01"], availability_days=60)
    night = decided(list_job(tmp_path, settings=ListShop(rules=rules)))
    monkeypatch.setattr(ItemIndex, "build", lambda *_: pytest.fail("an unchecked index was built"))
    facts = recommend.run(night)
    assert facts["made_by"] == "challenger"
    assert facts["by_source"]["retrieval"] > 0
