"""Every leak is planted in the stored files of a small night, and the audit must find it, and nothing else."""

import json
import shutil
from dataclasses import replace
from datetime import timedelta

import polars as pl
import pytest

from recsys_tasks.pairs import audit as reading
from recsys_tasks.steps import evaluate, recommend, refit_towers, stored_rules
from recsys_tasks.steps.audit_stored import audit_job
from recsys_tasks.steps.job import Options
from tests.pairs.night import NIGHT, days
from tests.steps.list_night import decided, reopened
from tests.steps.tower_night import refitting

LATER = str(NIGHT.shift(2))


@pytest.fixture(scope="module")
def stored_night(modelled_night, tmp_path_factory):
    """The folder of a night that is stored to its lists; only to be copied."""
    folder = tmp_path_factory.mktemp("stored") / "home"
    shutil.copytree(modelled_night, folder)
    job = reopened(folder)
    with job.workspace.artefact(
        "encoder",
        NIGHT,
        inputs={},
        settings={},
        rooms=("schema",),
        recorded={"train_until": NIGHT.train_until.isoformat()},
    ):
        pass
    evaluate.run(job)
    recommend.run(decided(job))
    return folder


@pytest.fixture
def job(stored_night, tmp_path):
    """A night of its own; a copy, so that a leak may be planted."""
    folder = tmp_path / "home"
    shutil.copytree(stored_night, folder)
    return reopened(folder)


def found(job):
    """What was found, and how often."""
    facts = audit_job(job)
    findings = [finding for rule in facts["rules"].values() for finding in rule]
    assert facts["clean"] is not bool(findings)
    return {finding["what"]: finding["count"] for finding in findings}


def forge(job, name, change):
    """Rewrite the manifest of an artefact of the night in place."""
    file = job.workspace.need(name, NIGHT).path / "manifest.json"
    manifest = json.loads(file.read_text())
    change(manifest)
    file.write_text(json.dumps(manifest))


def rewrite(job, name, file, change):
    """Rewrite one table of an artefact of the night in place."""
    path = job.workspace.need(name, NIGHT).path / f"{file}.parquet"
    change(pl.read_parquet(path)).write_parquet(path)


def on_row(number, **changed):
    """A change of the given columns in one row only."""
    place = pl.int_range(pl.len()) == number
    return lambda frame: frame.with_columns(
        **{name: pl.when(place).then(value).otherwise(name) for name, value in changed.items()}
    )


def test_a_clean_night_passes_every_rule(job):
    facts = audit_job(job)
    assert (facts["clean"], facts["lake"]) == (True, "recorded")
    assert facts["rules"] == {name: [] for name in (*reading.RULES, *stored_rules.RULES)}
    assert set(facts["artefacts"]) == {
        "pairs", "encoder", "vectors", "towers", "ranker", "index", "evaluation", "lists",
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", ["pairs", "encoder", "vectors", "towers", "ranker", "index", "evaluation", "lists"]
)
def test_an_artefact_cut_at_another_instant(job, name):
    forge(job, name, lambda manifest: manifest.update(as_of=(NIGHT.as_of + days(1)).isoformat()))
    assert found(job) == {"artefact cut at another instant than its night's end": 1}


@pytest.mark.parametrize("name", ["encoder", "towers", "ranker", "index"])
def test_an_artefact_that_was_made_from_a_later_one(job, name):
    forge(job, name, lambda manifest: manifest["inputs"].update(warm=f"towers/{LATER}/abc123"))
    assert found(job) == {"artefact made from a later one": 1, "model from the future": 1}


def test_lists_of_a_model_from_the_future(job):
    forge(job, "lists", lambda m: m["inputs"]["model"].update(towers=f"towers/{LATER}/abc123"))
    assert found(job)["model from the future"] == 1


def test_a_champion_of_the_same_night(job):
    tonight = {"towers": f"towers/{NIGHT}/abc123"}
    forge(job, "evaluation", lambda manifest: manifest["inputs"].update(champion=tonight))
    assert found(job) == {"champion of this night or later": 1}


@pytest.mark.parametrize("name", ["pairs", "encoder", "towers", "ranker"])
def test_a_model_that_saw_the_window(job, name):
    saw = (NIGHT.train_until + days(1)).isoformat()
    forge(job, name, lambda manifest: manifest["recorded"].update(train_until=saw))
    assert found(job) == {"model fitted on days of the gate's window": 1}


def test_towers_whose_own_file_tells_more_than_their_manifest(job):
    file = job.workspace.need("towers", NIGHT).path / "towers.json"
    facts = json.loads(file.read_text())
    file.write_text(json.dumps({**facts, "until": NIGHT.as_of.isoformat()}))
    assert found(job) == {"model fitted on days of the gate's window": 1}


def test_a_ranker_that_learned_from_the_window(job):
    forge(job, "ranker", lambda m: m["metrics"]["cuts"].append((NIGHT.train_until + days(1)).isoformat()))
    assert found(job) == {"model fitted on days of the gate's window": 1}


def test_a_ranker_whose_labels_the_encoder_had_learned_from(job):
    cuts = job.workspace.need("ranker", NIGHT).metrics["cuts"]
    told = {"kept": True, "trained_before": max(cuts)}
    forge(job, "encoder", lambda manifest: manifest["metrics"].update(told))
    what = "ranker cut whose labels the encoder had learned from"
    assert found(job) == {what: len(cuts) - 1}
    forge(job, "encoder", lambda manifest: manifest["metrics"].update(kept=False))
    assert found(job) == {}, "the base learned from nobody"
    forge(job, "encoder", lambda manifest: manifest["metrics"].update(kept=True, trained_before=min(cuts)))
    assert found(job) == {}


def test_a_model_that_does_not_tell_what_it_saw(job):
    forge(job, "encoder", lambda manifest: manifest["recorded"].clear())
    assert found(job) == {"model that does not tell up to where it saw the log": 1}


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("towers", "item in the towers that had no event yet"),
        ("vectors", "item encoded that the catalogue did not have yet"),
        ("index", "item indexed that was not offered yet"),
    ],
)
def test_an_item_that_was_created_after_the_night(job, name, what):
    rewrite(job, name, "items", on_row(0, item_id=pl.lit("unborn")))
    assert found(job) == {what: 1}


def test_a_list_with_an_item_that_was_created_after_the_night(job):
    # Below every other id, so that no tie is broken.
    rewrite(job, "lists", "lists", on_row(0, item_id=pl.lit("0 unborn")))
    assert found(job) == {"item in a list that was not offered yet": 1}


def test_a_list_for_a_shopper_who_came_after_the_night(job):
    rewrite(job, "lists", "lists", lambda lists: lists.filter(pl.col("user_id") != "late").vstack(
        lists.filter(pl.col("user_id") == "late").with_columns(user_id=pl.lit("later"))
    ))  # fmt: skip
    assert found(job) == {"list for a shopper without an event yet": 1}


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"score": pl.lit(99.0, pl.Float32)}, "list with a better score below a worse one"),
        (
            {"score": pl.col("score").shift(1), "item_id": pl.lit("")},
            "equal scores that are not in the order of item_id",
        ),
        ({"rank": pl.lit(99, pl.Int32)}, "list whose ranks are not 1, 2, 3"),
    ],
)
def test_a_list_in_an_order_that_would_not_hold(job, changed, what):
    rewrite(job, "lists", "lists", on_row(11 if "rank" in changed else 3, **changed))
    assert found(job)[what] == 1


def test_an_evaluation_of_other_days(job):
    def shifted(manifest):
        manifest["metrics"]["window"][1] = (NIGHT.as_of + days(1)).isoformat()

    forge(job, "evaluation", shifted)
    assert found(job) == {"evaluation of other days than the gate's window": 1}


def test_a_shopper_scored_as_new_to_what_the_history_held(job):
    def known(scores):
        old = scores.filter(pl.col("slice") == "all").head(1)
        return scores.vstack(old.with_columns(user_id=pl.lit("c99"), slice=pl.lit("new")))

    rewrite(job, "evaluation", "scores", known)
    assert found(job) == {"shopper scored in new who took nothing of the kind in the window": 1}


def test_what_training_read_is_looked_at_too(job):
    rewrite(job, "pairs", "pairs", lambda pairs: pairs.reverse())
    assert "pair out of order or twice" in found(job)


def test_a_day_that_was_corrected_since_is_no_leak(job):
    day = NIGHT.date
    job.lake.write_days(day, day, NIGHT.zone, job.lake.events_between(NIGHT.as_of, NIGHT.as_of), {})
    assert found(job) == {}


def test_where_the_version_is_gone_the_lake_is_read_as_it_is_now(job):
    day = NIGHT.date
    kept = job.lake.events_between(NIGHT.start, NIGHT.as_of)
    job.lake.write_days(day, day, NIGHT.zone, kept, {})
    job.lake.vacuum(keep_days=0)
    facts = audit_job(replace(job, options=Options()))
    assert (facts["clean"], facts["lake"]) == (True, "now")


# A refit


@pytest.fixture
def served(job):
    """The night again, with lists that come from a refit."""
    refit_towers.run(refitting(job))
    recommend.run(refitting(job))
    return job


def test_a_refit_may_have_seen_the_window(served):
    facts = audit_job(served)
    assert (facts["clean"], "refit" in facts["artefacts"]) == (True, True)


@pytest.mark.parametrize("who", ["challenger", "champion"])
def test_an_evaluation_of_a_refit(served, who):
    refit = served.workspace.need("refit", NIGHT).ref
    forge(served, "evaluation", lambda manifest: manifest["inputs"][who].update(towers=refit))
    assert found(served)["refit used for anything but lists"] == 1


@pytest.mark.parametrize("name", ["towers", "ranker", "encoder", "index"])
def test_a_model_that_goes_on_from_a_refit(served, name):
    earlier = f"refit/{NIGHT.shift(-1)}/abc123"
    forge(served, name, lambda manifest: manifest["inputs"].update(warm=earlier))
    assert found(served) == {"refit used for anything but lists": 1}


def test_lists_of_a_refit_of_other_towers(served):
    other = f"towers/{NIGHT}/abc123"
    forge(served, "refit", lambda manifest: manifest["inputs"].update(towers=other))
    assert found(served) == {"lists of a refit of other towers than the gate accepted": 1}


def test_a_refit_that_saw_what_happened_behind_the_night(served):
    saw = (NIGHT.as_of + timedelta(microseconds=1)).isoformat()
    forge(served, "refit", lambda manifest: manifest["recorded"].update(train_until=saw))
    assert found(served) == {"refit that saw the log behind the night's end": 1}


def test_a_refit_that_does_not_tell_what_it_saw(served):
    forge(served, "refit", lambda manifest: manifest["recorded"].clear())
    (served.workspace.need("refit", NIGHT).path / "towers.json").unlink()
    assert found(served) == {"refit that does not tell up to where it saw the log": 1}


@pytest.mark.parametrize(
    ("file", "what"),
    [
        ("items", "item in the refit that had no event yet"),
        ("index/items", "item in its index that was not offered yet"),
    ],
)
def test_an_item_of_a_refit_that_was_created_after_the_night(served, file, what):
    rewrite(served, "refit", file, on_row(0, item_id=pl.lit("unborn")))
    assert found(served) == {what: 1}
