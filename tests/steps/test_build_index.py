from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from recsys_tasks.errors import EmptyPartition, MissingArtefact
from recsys_tasks.index.index import ItemIndex
from recsys_tasks.lake.snapshot import EVENT_ORDER
from recsys_tasks.lake.tables import Lake
from recsys_tasks.schema import Events
from recsys_tasks.settings import RuleSettings
from recsys_tasks.steps import build_index, build_pairs, recommend, train_towers
from recsys_tasks.steps.build_index import run
from recsys_tasks.workspace import Workspace
from tests.pairs.night import FIRST, LAST, NIGHT, ZONE, catalogue
from tests.steps.list_night import ListShop, decided, list_job, staple_log
from tests.steps.tower_night import TowerJob, make_vectors, tower_job


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


def test_an_item_nobody_touched_is_in_the_index_on_the_night_it_appears(tmp_path):
    lake = Lake(Workspace(tmp_path).lake)
    lake.write_days(FIRST, LAST, ZONE, Events.validate(staple_log().sort(EVENT_ORDER)), {})
    lake.write_items(catalogue().filter(pl.col("item_id") != "launch"), NIGHT.shift(-1))
    lake.write_items(catalogue(), NIGHT)
    job = TowerJob(Workspace(tmp_path), lake)
    build_pairs.run(job)
    make_vectors(job)
    train_towers.run(job)
    assert "launch" not in lake.snapshot(NIGHT.as_of).events["item_id"]
    assert "launch" not in lake.snapshot(NIGHT.shift(-1).as_of).eligible()
    index = ItemIndex.load(job.workspace.at(run(job)["artefact"]).path)
    row = index.faiss_index.reconstruct(index.item_ids.to_list().index("launch"))
    # The first numbers are learned, and nothing was learned of it: they come from its text.
    assert np.linalg.norm(row[: job.settings.towers.dim]) > 0.01


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
