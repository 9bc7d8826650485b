import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from recsys_tasks.errors import EmptyPartition, MissingArtefact
from recsys_tasks.index.index import ItemIndex
from recsys_tasks.model.towers import TowerModel
from recsys_tasks.recommend import batches
from recsys_tasks.schema import Recommendations
from recsys_tasks.settings import RuleSettings
from recsys_tasks.steps import build_index, refit_towers, train_ranker, train_towers
from recsys_tasks.steps.recommend import LISTS, run
from recsys_tasks.steps.serving import INDEX, serving_model
from recsys_tasks.workspace import Workspace
from tests.pairs.night import ITEMS, NIGHT
from tests.steps.list_night import SHOPPERS, ListShop, decided, reopened
from tests.steps.tower_night import refitting
from tests.store.builders import candidate
from tests.store.builders import lists as some_lists


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


def test_what_was_revoked_makes_no_lists(job, tmp_path):
    aside = copied(job, tmp_path)
    first = run(decided(aside))
    aside.store.publish(candidate(NIGHT.shift(-1).date, model_refs={}), [some_lists()])
    aside.store.publish(candidate(NIGHT.date, model_refs=first["refs"]), [some_lists()])
    aside.store.rollback(why="bad prices", who="ann")
    assert aside.store.decision(NIGHT.date).revoked_at is not None
    assert run(aside)["model"] == "popular/7-days"


def test_lists_come_from_the_artefacts_that_were_decided_on(job, tmp_path):
    """Whatever ``current`` names later."""
    aside = decided(copied(job, tmp_path))
    judged = aside.store.decision(NIGHT.date).refs
    with_other_towers(aside)
    assert aside.workspace.need("towers", NIGHT).ref != judged["towers"]
    facts = run(aside)
    assert facts["model"] == judged["towers"]
    assert facts["refs"] == judged


def copied(job, folder):
    """The night in a place of its own."""
    shutil.copytree(job.workspace.home, folder / "home")
    return reopened(folder / "home")


def with_other_towers(job):
    """Tonight's towers, index and ranker made again with another setting."""
    settings = job.settings.towers.model_copy(update={"epochs": 1})
    changed = replace(job, settings=replace(job.settings, towers=settings))
    for step in (train_towers, train_ranker, build_index):
        step.run(changed)


def test_the_size_of_a_batch_changes_no_item(job, tmp_path, monkeypatch):
    whole = lists(job, run(decided(job)))
    monkeypatch.setattr(batches, "BATCH", 7)
    monkeypatch.setattr(batches, "BLOCK", 1)
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


# With a refit


def test_the_lists_of_an_accepted_model_come_from_its_refit(job, monkeypatch):
    plain = run(decided(job))
    refit = refit_towers.run(refitting(job))["artefact"]
    monkeypatch.setattr(ItemIndex, "build", lambda *_: pytest.fail("an unchecked index was built"))
    facts = run(refitting(job))
    assert (facts["made_by"], facts["model"], facts["refit"]) == ("challenger", refit, refit)
    assert facts["refs"] == plain["refs"] == job.store.decision(NIGHT.date).refs
    assert job.workspace.at(facts["artefact"]).manifest["inputs"]["refit"] == refit
    assert not lists(job, facts)["score"].equals(lists(job, plain)["score"])


def test_the_lists_wait_for_the_refit(job, tmp_path):
    aside = decided(copied(job, tmp_path))
    shutil.rmtree(aside.workspace.artefacts / "refit", ignore_errors=True)
    with pytest.raises(MissingArtefact, match="run the step refit_towers first"):
        run(refitting(aside))
    refit_towers.run(refitting(aside))
    with_other_towers(aside)
    with pytest.raises(MissingArtefact, match="other towers than the gate accepted: run refit_towers again"):
        run(refitting(decided(aside)))


def test_a_champion_makes_its_lists_as_if_nobody_had_asked_for_a_refit(job):
    refused = decided(job, accepted=False)
    assert run(refitting(refused)) == run(refused) | {"reused": True}


def test_a_refit_of_other_towers_serves_nobody(job):
    refs = decided(job).store.decision(NIGHT.date).refs
    refit = refit_towers.run(refitting(job))["artefact"]
    with pytest.raises(ValueError, match="does not go on from the towers"):
        serving_model(job, {"model": "popular/7-days"}, refit)
    assert serving_model(job, refs, refit).ref == refit
    assert serving_model(job, refs, None).ref == refs["towers"]


def test_a_refit_is_asked_with_its_own_weights_and_index(job):
    refs = decided(job).store.decision(NIGHT.date).refs
    refit = job.workspace.at(refit_towers.run(refitting(job))["artefact"])
    model = serving_model(job, refs, refit.ref)
    assert np.array_equal(model.towers.tensors.ids, TowerModel.load(refit.path).tensors.ids)
    index = model.index
    users = np.eye(index.dim, dtype=np.float32)
    found, own, other = (
        each.search(users, 3)[0]
        for each in (
            index,
            ItemIndex.load(refit.path / INDEX),
            ItemIndex.load(job.workspace.at(refs["index"]).path),
        )
    )
    assert np.array_equal(found, own)
    assert not np.array_equal(found, other)
