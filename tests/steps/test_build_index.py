import pytest

from recsys_tasks.errors import MissingArtefact
from recsys_tasks.index.index import ItemIndex
from recsys_tasks.steps import build_index, train_towers
from recsys_tasks.steps.build_index import run
from tests.pairs.night import NIGHT
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


def test_the_manifest_tells_recall_items_and_width(job):
    facts = run(job)
    assert facts["recall_vs_exact"] == 1.0
    assert (facts["items"], facts["dim"], facts["kind"]) == (41, 9, "Flat")
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
