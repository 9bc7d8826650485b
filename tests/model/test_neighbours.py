from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy.linalg import lapack
from threadpoolctl import threadpool_info, threadpool_limits

from recsys_tasks.model import neighbours
from recsys_tasks.model.neighbours import Neighbours
from recsys_tasks.schema import Events

AS_OF = datetime(2026, 3, 2, tzinfo=UTC)
WEIGHTS = {"purchase": 1.0, "view": 0.25}


def log(*rows: tuple[str, str, str, float]) -> pl.DataFrame:
    """Rows of (shopper, item, event type, days before the instant)."""
    named = [
        {"user_id": u, "item_id": i, "event_type": t, "occurred_at": AS_OF - timedelta(days=d)}
        for u, i, t, d in rows
    ]
    return pl.DataFrame(named, schema={name: column.dtype for name, column in Events.columns().items()})


def random_log(shoppers: int = 40, items: int = 12, seed: int = 1) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return log(
        *(
            (
                f"u{rng.integers(shoppers):02}",
                f"i{rng.integers(items):02}",
                "purchase",
                float(rng.uniform(1, 300)),
            )
            for _ in range(400)
        )
    )


def fitted(events: pl.DataFrame, **options) -> Neighbours:
    return Neighbours.fit(
        events, AS_OF, WEIGHTS, **({"half_life_days": None, "regularisation": 2.0} | options)
    )


@pytest.mark.parametrize("block", [512, 5])
def test_the_weights_are_those_of_the_definition(monkeypatch, block):
    """Each item's column is the ridge regression of its column on all the others, in however many blocks."""
    monkeypatch.setattr(neighbours, "BLOCK", block)
    events = random_log()
    model = fitted(events)
    x = model.histories(events, events["user_id"].unique().sort(), AS_OF).toarray().astype(np.float64)
    for item in range(len(model.item_ids)):
        others = np.delete(np.arange(x.shape[1]), item)
        a = x[:, others]
        exact = np.linalg.solve(a.T @ a + 2.0 * np.eye(len(others)), a.T @ x[:, item])
        assert model.weights[others, item] == pytest.approx(exact, abs=1e-4)
        assert model.weights[item, item] == 0


def test_the_inverse_has_one_thread(monkeypatch):
    seen = set()

    def watched(*args, **options):
        pools = (one for one in threadpool_info() if one.get("threading_layer") == "pthreads")
        seen.update(one["num_threads"] for one in pools)
        return inverse(*args, **options)

    inverse = lapack.spotri
    monkeypatch.setattr(lapack, "spotri", watched)
    with threadpool_limits(2, user_api="blas"):
        fitted(random_log())
    assert seen == {1}


def test_items_of_one_basket_speak_for_each_other():
    together = [(f"u{n}", item, "purchase", 3.0) for n in range(6) for item in ("cup", "tea")]
    apart = [(f"v{n}", "mat", "purchase", 3.0) for n in range(6)]
    model = fitted(log(*together, *apart))
    history = model.histories(log(("ann", "tea", "purchase", 1.0)), pl.Series(["ann"]), AS_OF)
    scores = dict(zip(model.item_ids, model.scores(history)[0], strict=True))
    assert scores["cup"] > 0.5
    assert scores["mat"] == pytest.approx(0, abs=1e-6)


def test_a_pair_counts_once_by_its_strongest_event_as_of_now():
    events = log(
        ("ann", "tea", "view", 0.5), ("ann", "tea", "purchase", 20), ("ann", "tea", "purchase", 10),
        ("ann", "cup", "impression", 1),
    )  # fmt: skip
    model = fitted(events, half_life_days=10.0)
    row = model.histories(events, pl.Series(["ann", "nobody"]), AS_OF).toarray()
    assert model.item_ids.to_list() == ["tea"]
    assert row.tolist() == [[0.5], [0.0]]


def test_events_from_the_instant_on_change_nothing():
    past = random_log()
    future = random_log(seed=2).with_columns(pl.col("occurred_at") + timedelta(days=400))
    before, after = fitted(past), fitted(pl.concat([past, future]))
    assert before.item_ids.equals(after.item_ids)
    assert np.array_equal(before.weights, after.weights)


def test_the_order_of_the_rows_changes_nothing():
    events = random_log()
    assert np.array_equal(fitted(events).weights, fitted(events.reverse()).weights)


def test_only_the_most_touched_items_are_kept_and_stand_in_order():
    rows = [
        (f"u{n}", item, "purchase", 3.0)
        for item, times in (("b", 3), ("c", 1), ("a", 2))
        for n in range(times)
    ]
    assert fitted(log(*rows), max_items=2).item_ids.to_list() == ["a", "b"]


def test_a_shop_without_events_has_no_neighbours():
    model = fitted(log())
    assert (len(model.item_ids), model.weights.shape) == (0, (0, 0))
    assert model.scores(model.histories(log(), pl.Series(["ann"]), AS_OF)).shape == (1, 0)
