import json
from dataclasses import replace
from datetime import timedelta

import polars as pl
import pytest

from recsys_tasks.errors import LeakFound
from recsys_tasks.model.towers import TowerModel
from recsys_tasks.pairs.audit import LearningCut
from recsys_tasks.recommend.features import NAMES
from recsys_tasks.recommend.ranker import Ranker
from recsys_tasks.settings import RankerSettings, TowerSettings
from recsys_tasks.steps import build_pairs, standing_ranker, train_ranker
from recsys_tasks.steps.ranker_plan import preferred
from recsys_tasks.steps.standing_ranker import earlier_ranker, ranker_of
from recsys_tasks.steps.train_ranker import BASE, run
from tests.pairs.night import NIGHT
from tests.pairs.shop import log
from tests.steps.list_night import ListJob, ListShop, bare_job, staple_log
from tests.steps.tower_night import ENCODER, make_vectors


def ready(folder, events=None, **changed) -> ListJob:
    job = bare_job(folder, events, **changed)
    build_pairs.run(job)
    make_vectors(job)
    return job


@pytest.fixture(scope="module")
def job(tmp_path_factory) -> ListJob:
    job = ready(tmp_path_factory.mktemp("ranker"))
    run(job)
    return job


def files(job):
    """Everything in the artefact but its manifest."""
    folder = job.workspace.need("ranker", job.night).path
    return {
        path.name: path.read_bytes()
        for path in folder.rglob("*")
        if path.name != "manifest.json" and path.is_file()
    }


def test_the_artefact_holds_trees_as_text_and_the_base_towers(job):
    folder = job.workspace.need("ranker", NIGHT).path
    assert set(Ranker.load(folder).boosters) == {"all", "new"}
    base = TowerModel.load(folder / BASE).facts.until
    assert base == NIGHT.days_before_end(20).isoformat() == run(job)["cuts"][0]
    assert json.loads((folder / "features.json").read_text())["names"] == list(NAMES)
    assert (folder / "ranker_all.txt").read_text().startswith("tree")


def test_figures_tell_what_was_learned(job):
    facts = run(job)
    assert facts["reused"]
    assert facts["fitted"]
    assert facts["heads"]["all"]["hits"] >= train_ranker.MIN_HITS
    assert len(facts["importance"]["all"]) == 10


def test_each_head_gets_the_weight_that_its_own_cuts_prove(tmp_path):
    three = ListShop(ranker=RankerSettings(days=28, label_days=14, enough_taken=100, trees=15, per_source=15))
    job = ready(tmp_path, settings=three)
    heads = run(job)["heads"]
    assert len(run(job)["cuts"]) == 3
    assert all(head["tower_weight_is"] == "by a cut held out" for head in heads.values())
    assert heads["all"]["held_out_ndcg"] != heads["new"]["held_out_ndcg"]
    weights = {name: head["tower_weight"] for name, head in heads.items()}
    assert weights["all"] != weights["new"]
    assert Ranker.load(job.workspace.need("ranker", NIGHT).path).tower_weight == weights


def test_another_window_gives_the_same_bytes(job, tmp_path):
    changed = staple_log().with_columns(
        item_id=pl.when(pl.col("occurred_at") >= NIGHT.train_until).then(pl.lit("i00")).otherwise("item_id")
    )
    other = ready(tmp_path, changed.unique(["user_id", "item_id", "occurred_at"], maintain_order=True))
    assert run(other)["artefact"] == run(job)["artefact"]
    assert files(other) == files(job)


def test_a_log_that_begins_in_the_rankers_days_gives_none_and_says_why(tmp_path):
    late = staple_log().filter(pl.col("occurred_at") >= NIGHT.days_before_end(13))
    facts = run(ready(tmp_path, late))
    assert not facts["fitted"]
    assert "nothing to learn from" in facts["why"]


def test_a_log_too_young_for_the_first_cut_is_learned_from_later_ones(tmp_path):
    late = staple_log().filter(pl.col("occurred_at") >= NIGHT.days_before_end(58))
    longer = ListShop(ranker=RankerSettings(days=56, label_days=14, trees=15, per_source=15))
    facts = run(ready(tmp_path, late, settings=longer))
    assert facts["fitted"]
    assert facts["cuts"] == [NIGHT.days_before_end(21).isoformat()]


@pytest.mark.parametrize(
    ("days", "enough", "first"),
    [(14, 1, 13), (14, 400, 27), (14, 10**6, 27), (7, 10**6, 27), (60, 10**6, 57)],
    ids=[
        "enough",
        "twice as long",
        "not over half of the log",
        "four times as long",
        "as set, whatever the log",
    ],
)
def test_a_shop_where_little_is_taken_is_looked_at_over_longer_days(job, days, enough, first):
    ranker = RankerSettings(days=days, label_days=7, enough_taken=enough)
    little = replace(job, settings=ListShop(ranker=ranker))
    plan = next(preferred(little))
    # 28 and 112 days, less the hour that the change of clocks takes.
    assert (job.night.train_until - plan[0].at).days == first


def encoder_that_learned(job, until, *, kept):
    """The vectors of an encoder whose training ended at ``until``."""
    with job.workspace.artefact(
        "encoder", NIGHT, inputs={}, settings={"until": str(until), "kept": kept}, rooms=()
    ) as draft:
        draft.metrics.update(kept=kept, trained_before=until.isoformat())
    make_vectors(job, draft.artefact.ref)


def test_the_ranker_learns_from_no_day_that_the_encoder_has_learned_from(tmp_path):
    job = bare_job(tmp_path, settings=ListShop(ranker=RankerSettings(days=28, label_days=14, enough_taken=1)))
    build_pairs.run(job)
    whole, *_, newest = next(preferred(job))
    encoder_that_learned(job, whole.at, kept=True)
    assert run(job)["cuts"][0] == whole.at.isoformat(), "it ends where the ranker's days begin"
    encoder_that_learned(job, newest.at, kept=True)
    assert run(job)["cuts"] == [newest.at.isoformat()]
    encoder_that_learned(job, newest.at + timedelta(days=1), kept=True)
    facts = run(job)
    assert not facts["fitted"]
    assert "the encoder learned from the ranker's days, up to" in facts["why"]
    encoder_that_learned(job, newest.at + timedelta(days=1), kept=False)
    assert run(job)["cuts"][0] == whole.at.isoformat(), "a base has learned from nobody"


def test_labels_inside_the_window_stop_the_step(tmp_path, monkeypatch):
    leaking = [LearningCut(NIGHT.days_before_end(21), NIGHT.days_before_end(6))]
    monkeypatch.setattr(train_ranker, "preferred", lambda _job: iter([leaking]))
    with pytest.raises(LeakFound, match="ranker labels inside the gate's window"):
        run(ready(tmp_path))


def test_too_little_taken_gives_none_and_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(train_ranker, "MIN_HITS", 10**6)
    facts = run(ready(tmp_path))
    assert not facts["fitted"]
    assert "fewer than" in facts["why"]


def test_other_nights_take_the_newest_earlier_ranker(job):
    tomorrow = replace(job, night=NIGHT.shift(1))
    assert not tomorrow.night.is_every(7)
    told_vectors(tomorrow, ENCODER)
    facts = run(tomorrow)
    assert facts["artefact"] == job.workspace.need("ranker", NIGHT).ref
    assert facts["reused"]
    assert ranker_of(tomorrow, ENCODER).ref == facts["artefact"]


def test_a_ranker_of_another_encoder_is_not_taken(job):
    assert earlier_ranker(replace(job, night=NIGHT.shift(2)), "encoder/2026-04-01/ffffffffffffffff") is None


def test_a_ranker_of_other_settings_is_not_taken(job):
    tomorrow = replace(job, night=NIGHT.shift(1))
    assert earlier_ranker(tomorrow, ENCODER) is not None
    more_trees = RankerSettings(**{**job.settings.ranker.model_dump(), "trees": 16})
    for changed in (
        {"ranker": more_trees},
        {"seed": 2},
        {"event_weights": {"purchase": 1.0}},
    ):
        assert earlier_ranker(replace(tomorrow, settings=replace(job.settings, **changed)), ENCODER) is None


def test_a_ranker_of_other_code_is_not_taken(job, monkeypatch):
    tomorrow = replace(job, night=NIGHT.shift(1))
    version = standing_ranker.code_version
    monkeypatch.setattr(
        standing_ranker, "code_version", lambda room: "new" if room == "recommend" else version(room)
    )
    assert earlier_ranker(tomorrow, ENCODER) is None


def test_a_ranker_that_saw_tonights_window_is_not_taken(job):
    wider = replace(NIGHT.shift(1), gate_days=9)
    assert earlier_ranker(replace(job, night=wider), ENCODER) is None
    folder = job.workspace.need("ranker", NIGHT)
    assert folder.manifest["recorded"]["train_until"] == NIGHT.train_until.isoformat()


def test_examples_without_anything_new_give_no_base_towers_and_say_why(tmp_path):
    """Each shopper buys one and the same item: towers that learn from new items only have no positive."""
    same = log(*((f"c{n:02}", f"i{n:02}", "purchase", d + 0.6) for n in range(12) for d in range(102)))
    shop = ListShop(
        ranker=RankerSettings(days=14, label_days=7, enough_taken=100, trees=15),
        towers=TowerSettings(dim=8, epochs=1, targets="new"),
    )
    facts = run(ready(tmp_path, same, settings=shop))
    assert not facts["fitted"]
    assert "nothing to learn from" in facts["why"]


def told_vectors(job, encoder):
    """Vectors of which only the manifest is looked at."""
    made_from = {"encoder": encoder}
    with job.workspace.artefact("vectors", job.night, inputs=made_from, settings={}, rooms=("schema",)):
        pass
