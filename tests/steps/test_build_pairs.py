import polars as pl
import pytest

from recsys_tasks.errors import EmptyPartition
from recsys_tasks.schema import Examples, Negatives, Pairs
from recsys_tasks.settings import PairSettings
from recsys_tasks.steps.build_pairs import run
from tests.pairs.night import LAST, NIGHT, ZONE, ShopSettings, SmallJob, days, small_job, small_log

FILES = ("pairs.parquet", "negatives.parquet", "examples.parquet")


@pytest.fixture
def job(tmp_path) -> SmallJob:
    return small_job(tmp_path)


def contents(job):
    folder = job.workspace.need("pairs", job.night).path
    return [(folder / file).read_bytes() for file in FILES]


def test_the_artefact_holds_three_frames_that_keep_their_contracts(job):
    facts = run(job)
    folder = job.workspace.at(facts["artefact"]).path
    for file, contract in zip(FILES, (Pairs, Negatives, Examples), strict=True):
        frame = contract.validate(pl.read_parquet(folder / file))
        assert facts[file.removesuffix(".parquet")] == len(frame) > 0


def test_nothing_of_the_window_is_in_it(job):
    folder = job.workspace.at(run(job)["artefact"]).path
    assert (pl.read_parquet(folder / FILES[0])["occurred_at"] < NIGHT.train_until).all()
    assert (pl.read_parquet(folder / FILES[2])["positives_until"] < NIGHT.train_until).all()
    assert "launch" not in pl.read_parquet(folder / FILES[1])["negative_id"]


def test_a_second_run_reuses_it(job):
    first = run(job)
    again = run(job)
    assert not first["reused"]
    assert again == {**first, "reused": True}


def test_two_shops_with_one_log_get_equal_bytes(job, tmp_path):
    shuffled = small_log().sample(fraction=1.0, shuffle=True, seed=5)
    other = small_job(tmp_path / "other", shuffled)
    assert run(other)["artefact"] == run(job)["artefact"]
    assert contents(other) == contents(job)


def test_events_of_the_window_and_later_change_nothing(job):
    before = run(job)
    rows = small_log().with_columns(
        item_id=pl.when(pl.col("occurred_at") >= NIGHT.train_until).then(pl.lit("i00")).otherwise("item_id")
    )
    rows = rows.unique(["user_id", "item_id", "occurred_at"], maintain_order=True)
    job.lake.write_days(
        NIGHT.shift(-6).date, LAST, ZONE, rows.filter(pl.col("occurred_at") >= NIGHT.train_until), {}
    )
    assert run(job) == {**before, "reused": True}


def test_a_corrected_day_before_the_window_makes_a_sibling(job):
    before = run(job)
    day = NIGHT.shift(-10)
    job.lake.write_days(day.date, day.date, ZONE, small_log().clear(), {})
    after = run(job)
    assert after["artefact"] != before["artefact"]
    assert job.workspace.at(before["artefact"]).path.is_dir()


@pytest.mark.parametrize(
    "changed",
    [
        {"pairs": PairSettings(target_days=7)},
        {"event_weights": {"purchase": 2.0}},
        {"seed": 2},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_changed_setting_makes_a_sibling(job, changed):
    other = SmallJob(job.workspace, job.lake, ShopSettings(**changed))
    assert run(other)["artefact"] != run(job)["artefact"]


def test_a_night_without_any_event_before_its_window_is_refused(tmp_path):
    late = small_log().filter(pl.col("occurred_at") >= NIGHT.train_until + days(1))
    job = small_job(tmp_path, late)
    with pytest.raises(EmptyPartition, match="no event before 2026-04-04"):
        run(job)
    assert job.workspace.find("pairs", job.night) is None
