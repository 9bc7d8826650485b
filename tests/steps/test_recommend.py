import shutil
from dataclasses import replace

import polars as pl
import pytest

from recsys_tasks.errors import EmptyPartition, MissingArtefact
from recsys_tasks.recommend import recommend as room
from recsys_tasks.schema import Recommendations
from recsys_tasks.settings import RuleSettings
from recsys_tasks.steps.recommend import LISTS, run
from recsys_tasks.workspace import Workspace
from tests.pairs.night import ITEMS, NIGHT
from tests.steps.list_night import SHOPPERS, ListShop


def decided(job, accepted=True):
    job.store.record_decision(
        NIGHT.date, accepted=accepted, refs={}, champion={}, metrics={}, why="for a test"
    )
    return job


def lists(job, facts):
    return pl.read_parquet(job.workspace.at(facts["artefact"]).path / LISTS)


def test_every_known_shopper_gets_a_full_list(job):
    facts = run(decided(job))
    frame = Recommendations.validate(lists(job, facts))
    assert frame.group_by("user_id").len()["len"].to_list() == [12] * (SHOPPERS + 1)
    assert (facts["users"], facts["rows"]) == (SHOPPERS + 1, 12 * (SHOPPERS + 1))
    assert sum(facts["by_source"].values()) == facts["rows"]
    assert facts["model"] == job.workspace.need("towers", NIGHT).ref


def test_the_manifest_tells_the_store_what_it_needs(job):
    facts = job.workspace.at(run(decided(job))["artefact"]).metrics
    assert sorted(facts["refs"]) == ["encoder", "index", "ranker", "towers", "vectors"]
    assert facts["top_k"] == 12
    assert facts["fallback_share"] == 0
    assert facts["dropped"] == {
        "not_offered": 0,
        "blocked_item": 0,
        "blocked_category": 0,
        "not_sold_lately": 0,
    }


def test_a_refused_challenger_leaves_the_lists_to_popularity(job):
    facts = run(decided(job, accepted=False))
    assert facts["model"] == "popular/7-days"
    assert facts["by_source"] == {"popular": facts["rows"]}
    assert facts["fallback_share"] == 1
    assert facts["users"] == SHOPPERS + 1


def test_the_size_of_a_batch_changes_no_item(job, tmp_path, monkeypatch):
    whole = lists(job, run(decided(job)))
    monkeypatch.setattr(room, "BATCH", 7)
    again = run(replace(decided(job), workspace=elsewhere(job, tmp_path)))
    parts = pl.read_parquet(tmp_path / "artefacts" / again["artefact"] / LISTS)
    assert parts.drop("score").equals(whole.drop("score"))
    assert not list((tmp_path / "artefacts").rglob("part-*"))


def elsewhere(job, folder):
    """The same artefacts in another place, without the lists."""
    shutil.copytree(job.workspace.artefacts, folder / "artefacts", ignore=shutil.ignore_patterns("lists"))
    return Workspace(folder)


def test_a_shop_without_repeats_shows_nothing_its_shopper_knows(job):
    facts = run(replace(decided(job), settings=ListShop(rules=RuleSettings(repeats_allowed=False))))
    known = job.lake.snapshot(NIGHT.as_of).events
    assert lists(job, facts).join(known, on=["user_id", "item_id"], how="semi").is_empty()
    assert "repeat" not in facts["by_source"]


def test_rules_and_top_k_make_siblings(job):
    blocked = ListShop(rules=RuleSettings(blocked_items=ITEMS[:5]))
    refs = {
        run(decided(job))["artefact"],
        run(replace(decided(job), top_k=3))["artefact"],
        (strict := run(replace(decided(job), settings=blocked)))["artefact"],
    }
    assert len(refs) == 3
    assert strict["dropped"]["blocked_item"] == 5
    assert not lists(job, strict)["item_id"].is_in(ITEMS[:5]).any()


def test_rules_that_leave_nothing_are_an_error(job):
    everything = ListShop(rules=RuleSettings(blocked_items=[*ITEMS, "launch"]))
    with pytest.raises(EmptyPartition, match="no item to recommend"):
        run(replace(decided(job), settings=everything))


def test_the_gate_must_have_decided(job):
    with pytest.raises(MissingArtefact, match="gate"):
        run(replace(job, night=NIGHT.shift(1)))
