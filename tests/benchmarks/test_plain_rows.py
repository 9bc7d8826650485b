import numpy as np
import polars as pl
import pytest

from benchmarks.plain_rows import PopularityModel, TextModel
from benchmarks.scene import Scene
from recsys_tasks.evaluate.encoder_gate import HALF_LIFE_DAYS
from recsys_tasks.model.vectors import TextVectors
from recsys_tasks.recommend.recommend import Recommender
from tests.benchmarks.shop import CUT


@pytest.fixture(scope="module")
def scene(home) -> Scene:
    return Scene(home.job(CUT))


@pytest.fixture(scope="module")
def vectors(scene) -> TextVectors:
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(len(scene.context.items), 8)).astype(np.float32)
    return TextVectors(scene.context.items, matrix / np.linalg.norm(matrix, axis=1, keepdims=True))


def lists(model, scene, users, new_only, k=50) -> pl.DataFrame:
    return Recommender(model, scene.context).lists(users, k, new_only=new_only, explain=False)


def known(scene, user: str) -> set[str]:
    return set(scene.snapshot.events.filter(pl.col("user_id") == user)["item_id"])


@pytest.mark.parametrize("days", [7, 28, None])
def test_popularity_counts_shoppers_in_its_window(scene, days):
    events = scene.snapshot.events
    if days is not None:
        events = events.filter((pl.lit(scene.snapshot.as_of) - pl.col("occurred_at")).dt.total_days() < days)
    counts = (
        events.group_by("item_id")
        .agg(n=pl.col("user_id").n_unique())
        .sort("n", "item_id", descending=[True, False])
    )
    found = lists(PopularityModel("popularity", days), scene, pl.Series(["c0001"]), False, 10)
    assert found["item_id"].to_list() == counts["item_id"].head(10).to_list()


@pytest.mark.parametrize("new_only", [True, False])
def test_lists_are_full_and_hold_what_they_may(scene, vectors, new_only):
    users = pl.Series(["c0001", "c0002", "nobody"])
    for model in (PopularityModel("p", 28), TextModel("t", vectors)):
        found = lists(model, scene, users, new_only)
        assert found.group_by("user_id").len()["len"].to_list() == [50] * 3
        assert set(found["item_id"]) <= set(scene.offered)
        if new_only:
            for user in users:
                assert not known(scene, user) & set(found.filter(pl.col("user_id") == user)["item_id"])


def test_the_text_row_is_the_decayed_mean_times_the_item(scene, vectors):
    rows = scene.snapshot.events.filter(pl.col("user_id") == "c0001")
    age = (pl.lit(scene.snapshot.as_of) - pl.col("occurred_at")).dt.total_microseconds() / 86_400_000_000
    weights = rows.select(0.5 ** (age / HALF_LIFE_DAYS)).to_series().to_numpy()
    score = vectors.matrix @ (weights @ vectors.of(rows["item_id"]))
    best = scene.context.items.gather(np.argsort(-score)[:10])
    assert (
        lists(TextModel("t", vectors), scene, pl.Series(["c0001"]), False, 10)["item_id"].to_list()
        == best.to_list()
    )
