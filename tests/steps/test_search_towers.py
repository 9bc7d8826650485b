import shutil
from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from recsys_tasks.errors import DataError, EmptyPartition, LeakFound, MissingArtefact, TrainingFailed
from recsys_tasks.evaluate.gate import deciding_slice
from recsys_tasks.model.vectors import TextVectors
from recsys_tasks.recommend.night_model import NightModel
from recsys_tasks.search.found import BEST, PICTURE, TRIALS
from recsys_tasks.settings import PairSettings, RuleSettings, TowerSettings
from recsys_tasks.settings.augment import HistoryPolicy, read_policy
from recsys_tasks.steps import search, search_towers
from recsys_tasks.steps.examples_before import examples_before
from recsys_tasks.steps.scoreboard import score_models
from recsys_tasks.steps.search import run
from recsys_tasks.steps.search_towers import towers_arena
from recsys_tasks.training.towers import fit_towers
from tests.pairs.night import ITEMS, NIGHT
from tests.steps.list_night import ListJob, ListShop, bare_job, staple_log
from tests.steps.tower_night import make_vectors

CUT = NIGHT.days_before_end(NIGHT.gate_days + 28)
SMALL = {"dim": 8, "epochs": 1, "batch_examples": 32, "neighbour_rank": 4, "popularity_days": []}


def job_in(folder, events=None, **changed) -> ListJob:
    """A night whose vectors are made, with examples that reach back behind the search's days."""
    pairs = PairSettings(target_days=14, history_days=60)
    shop = ListShop(pairs=pairs, towers=TowerSettings(**SMALL), **changed)
    job = bare_job(folder, events, settings=shop)
    with_encoder(job)
    return job


def with_encoder(job, **metrics):
    """The night's vectors, of an encoder whose manifest says this."""
    with job.workspace.artefact("encoder", NIGHT, inputs={}, settings=metrics, rooms=("schema",)) as draft:
        draft.metrics.update(metrics)
    make_vectors(job, draft.artefact.ref)
    return draft.artefact


@pytest.fixture
def job(tmp_path) -> ListJob:
    return job_in(tmp_path / "shop")


@pytest.fixture
def fitted(monkeypatch):
    """What each fit was handed."""
    seen = []

    def spy(*handed):
        seen.append(handed)
        return fit_towers(*handed)

    monkeypatch.setattr(search_towers, "fit_towers", spy)
    return seen


def folder_of(job):
    return job.workspace.home / "search" / "histories" / str(job.night)


def trials_of(job):
    return pl.read_csv(folder_of(job) / TRIALS).drop("seconds")


def with_towers(job, **changed):
    return replace(job, settings=replace(job.settings, towers=TowerSettings(**SMALL, **changed)))


def elsewhere(events, begin, end):
    """The log with other items taken from ``begin`` to before ``end``."""
    rng = np.random.default_rng(5)
    drawn = pl.Series(rng.choice(ITEMS, size=len(events)))
    inside = pl.col("occurred_at").is_between(begin, end, closed="left")
    return events.with_columns(item_id=pl.when(inside).then(drawn).otherwise("item_id")).unique()


def test_a_search_writes_the_best_policy_a_table_and_a_picture(job, fitted):
    facts = run(job, "histories", 3)
    table = trials_of(job)
    assert facts["trials"] == facts["tried now"] == len(table) == 3
    assert len(fitted) == 4, "the towers without views are fitted once"
    assert len({handed[3].view_weight for handed in fitted[1:]} | {0.0}) == 2
    assert table["ndcg_without"].n_unique() == 1
    assert (table["value"] - (table["ndcg"] / table["ndcg_without"] - 1)).abs().max() < 1e-9
    assert table["value"].max() == pytest.approx(facts["best"]["value"])
    assert len(read_policy(folder_of(job) / BEST, HistoryPolicy).sub_policies) == 3
    header = (folder_of(job) / BEST).read_text().splitlines()[:2]
    assert "over the shop's towers without views" in header[0]
    assert header[1] == "# Tried with {towers: {user: transformer, view_weight: 0.1}}"
    assert (folder_of(job) / PICTURE).stat().st_size > 1000


@pytest.mark.parametrize("repeats", [True, False], ids=["all", "new"])
def test_what_counts_is_the_metric_that_the_gate_decides_by(tmp_path, repeats):
    job = job_in(tmp_path / "shop", rules=RuleSettings(repeats_allowed=repeats))
    arena = towers_arena(job)
    snapshot = job.lake.snapshot(CUT)
    text = TextVectors.load(job.workspace.need("vectors", NIGHT).path)
    fit = fit_towers(
        snapshot,
        examples_before(job, snapshot),
        text,
        TowerSettings(**SMALL),
        job.settings.event_weights,
        CUT,
        job.settings.seed,
    )
    model = NightModel("own", fit.model, text, None, job.settings.ranker)
    tables = score_models(job, {"own": model}, "own", CUT, NIGHT.train_until).tables
    assert tables["all"][0]["ndcg@10"] != tables["new"][0]["ndcg@10"]
    assert arena.without_views == tables[deciding_slice(repeats)][0]["ndcg@10"]


def test_a_second_call_goes_on_and_ends_as_one_call_would(job, tmp_path):
    run(job, "histories", 1)
    assert run(job, "histories", 3)["tried now"] == 2
    other = job_in(tmp_path / "other")
    run(other, "histories", 3)
    assert trials_of(job).equals(trials_of(other))


def test_a_changed_setting_begins_a_new_study(job):
    run(job, "histories", 2)
    assert run(with_towers(job, learning_rate=0.01), "histories", 1)["tried now"] == 1


def test_the_window_and_what_follows_change_no_value_and_no_study(job, tmp_path):
    run(job, "histories", 2)
    after = elsewhere(staple_log(), NIGHT.train_until, NIGHT.as_of + timedelta(days=9))
    other = job_in(tmp_path / "other", after)
    assert not job.lake.snapshot(NIGHT.as_of).events.equals(other.lake.snapshot(NIGHT.as_of).events)
    run(other, "histories", 2)
    assert trials_of(job).equals(trials_of(other))
    studies = [search._fingerprint(some, towers_arena(some)) for some in (job, other)]
    assert studies[0] == studies[1]


def test_a_trial_learns_from_nothing_that_it_is_judged_by(job, tmp_path, fitted):
    run(job, "histories", 1)
    run(job_in(tmp_path / "other", elsewhere(staple_log(), CUT, NIGHT.train_until)), "histories", 1)
    (own, _), (other, _) = fitted[:2], fitted[2:]
    for snapshot, examples, _, _, _, until, _ in fitted:
        assert until == snapshot.as_of == CUT
        assert snapshot.events["occurred_at"].max() < CUT
        assert examples["positives_until"].max() < CUT
    assert own[0].events.equals(other[0].events)
    assert own[1].equals(other[1])


def until(instant):
    """What an encoder's manifest says that learned from the log up to an instant."""
    return {"kept": True, "trained_before": instant.isoformat()}


def test_vectors_that_know_the_days_are_refused(job):
    with_encoder(job, **until(CUT + timedelta(days=1)))
    with pytest.raises(LeakFound, match="search the next encoder night"):
        run(job, "histories", 1)


def test_vectors_that_end_where_the_days_begin_are_not(job):
    with_encoder(job, **until(CUT))
    assert towers_arena(job).days == (CUT, NIGHT.train_until)


def test_vectors_of_an_encoder_that_is_gone_are_refused(job):
    """Nobody can tell any more what it has learned from."""
    shutil.rmtree(with_encoder(job, **until(CUT)).path)
    with pytest.raises(MissingArtefact, match="run finetune_encoder and encode_items again"):
        run(job, "histories", 1)


def test_towers_to_compare_with_that_cannot_be_fitted_are_no_failed_trial(job, monkeypatch):
    def fails(*_):
        raise TrainingFailed("the loss is nan")

    with monkeypatch.context() as broken:
        broken.setattr(search_towers, "fit_towers", fails)
        with pytest.raises(
            DataError, match="without views, which every trial is compared with: the loss is nan"
        ):
            run(job, "histories", 2)
    assert run(job, "histories", 2)["tried now"] == 2


def test_vectors_must_be_there_first(tmp_path):
    with pytest.raises(MissingArtefact, match="has no vectors yet: run the step encode_items"):
        run(bare_job(tmp_path), "histories", 1)


def test_a_log_that_is_too_short_is_told(tmp_path):
    young = staple_log().filter(pl.col("occurred_at") >= CUT - timedelta(days=10))
    with pytest.raises(EmptyPartition, match="load more history"):
        run(job_in(tmp_path, young), "histories", 1)


def test_days_on_which_nobody_took_anything_are_told(tmp_path):
    quiet = staple_log().filter(~pl.col("occurred_at").is_between(CUT, NIGHT.train_until))
    with pytest.raises(EmptyPartition, match="nobody took an item that counts"):
        run(job_in(tmp_path, quiet), "histories", 1)
