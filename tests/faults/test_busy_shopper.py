"""One shopper (a robot, a till's own number) with a million events: pairs stay capped, everybody gets a list."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys_tasks.lake.snapshot import EVENT_ORDER
from recsys_tasks.schema import Events
from recsys_tasks.steps import build_pairs, recommend
from tests.pairs.night import FIRST, ITEMS, LAST, ZONE
from tests.pairs.shop import NEW_YEAR
from tests.steps.list_night import SHOPPERS, decided, list_job, staple_log

MILLION = 1_000_000


def robot() -> pl.DataFrame:
    rng = np.random.default_rng(1)
    # What the lake holds is distinct: no two events in one microsecond.
    seconds = pl.Series(np.sort(rng.choice(100 * 86_400, MILLION, replace=False)))
    return pl.select(
        user_id=pl.lit("robot"),
        item_id=pl.Series(np.array(ITEMS)[rng.integers(0, len(ITEMS), MILLION)]),
        event_type=pl.lit("purchase"),
        occurred_at=pl.lit(NEW_YEAR) + pl.duration(seconds=seconds),
    )


@pytest.mark.slow
def test_a_shopper_with_a_million_events_does_not_stop_the_night(tmp_path: Path):
    job = decided(list_job(tmp_path))
    log = pl.concat([staple_log(), robot()], how="diagonal_relaxed").sort(EVENT_ORDER)
    job.lake.write_days(FIRST, LAST, ZONE, Events.validate(log), {})
    build_pairs.run(job)
    pairs = pl.read_parquet(job.workspace.need("pairs", job.night).path / "pairs.parquet")
    share = pairs.group_by("user_id").len().sort("len")
    assert share.filter(pl.col("user_id") == "robot")["len"].item() <= job.settings.pairs.max_per_user
    assert share.height > SHOPPERS / 2
    recommend.run(job)
    lists = pl.read_parquet(job.workspace.need("lists", job.night).path / "lists.parquet")
    lengths = dict(lists.group_by("user_id").len().rows())
    assert lengths["robot"] == job.top_k
    assert set(lengths.values()) == {job.top_k}
    assert len(lengths) > SHOPPERS
