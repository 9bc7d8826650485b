"""The step between the artefact ``lists`` and the serving database."""

from datetime import UTC, datetime
from types import SimpleNamespace

import polars as pl
import pytest

from recsys_tasks.errors import MissingArtefact, PublishRefused
from recsys_tasks.settings import RuleSettings, load_settings
from recsys_tasks.steps import publish
from recsys_tasks.steps.job import Job, Options
from recsys_tasks.steps.records import keep_record
from tests.shop import make_shop
from tests.store.builders import lists

NIGHT = "2026-01-20"
ITEMS = ["tea", "milk", "rye"]
INSTANT = pl.Datetime("us", "UTC")
SHOPPERS = [f"shopper {n:03d}" for n in range(50)]


@pytest.fixture
def settings(tmp_path):
    return load_settings(make_shop(tmp_path / "shop", encoder=tmp_path, shoppers=3, days=20).file)


def catalogue(**until):
    """Tea, milk and rye; ``until`` is the ISO instant an item is available until."""
    ends = [None if name not in until else datetime.fromisoformat(until[name]) for name in ITEMS]
    return pl.DataFrame(
        {
            "item_id": ITEMS,
            "category": ["hot", "cold", "bread"],
            "available_from": [None] * 3,
            "available_until": ends,
        },
        schema_overrides={"available_from": INSTANT, "available_until": INSTANT},
    )


def job_of(settings, night=NIGHT, **options):
    job = Job(settings, settings.night(night), Options(**options))
    # A cached property: the step asks the lake for nothing but the catalogue.
    job.__dict__["lake"] = SimpleNamespace(catalogue=lambda as_of: catalogue())
    return job


def make_lists(job, frame, **facts):
    metrics = {
        "model": "night model",
        "refs": {"towers": "t"},
        "top_k": 3,
        "items_allowed": 90,
        "fallback_share": 0.1,
    }
    with job.workspace.artefact(
        "lists", job.night, inputs={"rows": frame.rows()}, settings={}, rooms=("schema",)
    ) as draft:
        frame.write_parquet(draft.path / "lists.parquet", row_group_size=7)
        draft.metrics.update(metrics | facts)


def test_tonight_s_lists_go_live(settings):
    job = job_of(settings, run_id="scheduled")
    make_lists(job, lists(SHOPPERS))
    facts = publish.run(job)
    assert (facts["rows"], facts["users"], facts["switched"]) == (150, 50, True)
    live = job.store.live()
    assert (live.model, live.model_refs, live.run_id, live.fallback_share) == (
        "night model",
        {"towers": "t"},
        "scheduled",
        0.1,
    )
    assert live.lists_ref == job.workspace.need("lists", job.night).ref


def test_a_run_publishes_its_own_lists_whatever_another_made_since(settings, caplog):
    """A dry run with another setting, between recommend and publish of the night that goes live."""
    job = job_of(settings, run_id="scheduled")
    make_lists(job, lists(SHOPPERS))
    own = job.workspace.need("lists", job.night).ref
    make_lists(job, lists(SHOPPERS, ("rye", "milk", "tea")))
    keep_record(job, "recommend", {"run_id": "a dry run"})
    latest = job.workspace.need("lists", job.night).ref
    facts = publish.run(job_of(settings, run_id="scheduled", lists=own))
    assert (facts["lists"], facts["live"]) == (own, True)
    assert job.store.live().lists_ref == own
    assert f"{latest} was made since by run a dry run; run scheduled publishes its own {own}" in caplog.text


def test_a_late_run_leaves_the_live_lists_of_another_run_of_the_night(settings):
    job = job_of(settings)
    make_lists(job, lists(SHOPPERS))
    own = job.workspace.need("lists", job.night).ref
    make_lists(job, lists(SHOPPERS, ("rye", "milk", "tea")))
    other = publish.run(job_of(settings, run_id="the button"))
    facts = publish.run(job_of(settings, run_id="scheduled", lists=own))
    assert (other["live"], facts["live"]) == (True, False)
    assert "made since, by run the button" in facts["why"]
    assert job.store.live().id == other["generation"]


def test_by_hand_the_latest_lists_are_published_and_their_run_is_told(settings, caplog):
    job = job_of(settings)
    make_lists(job, lists(SHOPPERS))
    keep_record(job, "recommend", {"run_id": "scheduled"})
    assert publish.run(job)["live"]
    assert f"run by-hand publishes {job.store.live().lists_ref}, which run scheduled made" in caplog.text


def test_a_retry_changes_nothing(settings):
    job = job_of(settings)
    make_lists(job, lists(SHOPPERS))
    first = publish.run(job)
    again = publish.run(job_of(settings))
    assert (first["live"], again["live"]) == (True, True)
    assert (again["switched"], again["why"]) == (False, "these lists are live already")


def test_a_retry_does_not_undo_a_rollback(settings):
    for night in ("2026-01-19", NIGHT):
        job = job_of(settings, night)
        make_lists(job, lists(SHOPPERS))
        publish.run(job)
    job.store.rollback(why="bad prices", who="ann")
    again = publish.run(job_of(settings))
    assert (again["switched"], again["live"]) == (False, False)
    assert "bad prices" in again["why"]
    assert str(job.store.live().night) == "2026-01-19"


def test_a_dry_run_leaves_the_live_lists(settings):
    job = job_of(settings, publish="dry_run")
    make_lists(job, lists(SHOPPERS))
    facts = publish.run(job)
    assert (facts["switched"], facts["live"]) == (False, False)
    assert job.store.live() is None


def test_an_item_that_the_catalogue_lacks_is_refused(settings):
    job = job_of(settings)
    make_lists(job, lists(SHOPPERS, ("tea", "milk", "ghost")))
    with pytest.raises(PublishRefused, match=r"50 rows hold an item.*run the night again from build_pairs"):
        publish.run(job)


@pytest.mark.parametrize(
    ("rules", "until", "left"),
    [
        ({}, {}, ITEMS),
        ({"blocked_items": ["tea"]}, {}, ["milk", "rye"]),
        ({"blocked_categories": ["cold", "bread"]}, {}, ["tea"]),
        ({}, {"rye": "2026-01-21T00:00+00:00"}, ["tea", "milk"]),
        ({}, {"rye": "2026-01-21T00:01+00:00"}, ITEMS),
    ],
    ids=["nothing", "an item", "categories", "ended with the night", "ends later"],
)
def test_what_may_be_shown(rules, until, left):
    as_of = datetime(2026, 1, 21, tzinfo=UTC)
    assert publish.offered(catalogue(**until), as_of, RuleSettings(**rules)).to_list() == left


def test_an_item_that_was_blocked_since_is_refused(settings):
    blocked = settings.model_copy(update={"rules": RuleSettings(blocked_items=["tea"])})
    job = job_of(blocked)
    make_lists(job, lists(SHOPPERS))
    with pytest.raises(PublishRefused, match=r"50 rows hold an item that is blocked.*again from recommend"):
        publish.run(job)
    assert (job.store.live(), job.store.generations()[0].state) == (None, "refused")


def test_the_audit_figures_are_kept_with_the_generation(settings):
    job = job_of(settings)
    make_lists(job, lists(SHOPPERS, ("tea", "milk")), top_k=2)
    facts = publish.run(job)
    assert facts["audit"]["coverage"] == pytest.approx(2 / 3, abs=1e-6)
    assert job.store.live().audit == facts["audit"]


def test_a_shop_with_few_items_may_have_short_lists(settings):
    job = job_of(settings)
    make_lists(job, lists(SHOPPERS), top_k=20, items_allowed=3)
    assert publish.run(job)["switched"]


def test_without_lists_the_step_to_run_is_named(settings):
    with pytest.raises(MissingArtefact, match="has no lists yet: run the step recommend first"):
        publish.run(job_of(settings))


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 10, 1000])
def test_no_shopper_is_torn_between_shards(tmp_path, rows):
    frame = lists(SHOPPERS)
    frame.write_parquet(tmp_path / "lists.parquet", row_group_size=7)
    shards = list(publish.shards(tmp_path / "lists.parquet", rows))
    assert pl.concat(shards).equals(frame)
    owners = [set(shard["user_id"]) for shard in shards]
    assert sum(map(len, owners)) == len(set().union(*owners)) == 50
