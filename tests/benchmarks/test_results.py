import json
from datetime import date

import polars as pl
import pytest

from benchmarks.metrics import METRICS
from benchmarks.results import Spent, score_rows, split_name, spread_rows, write_rows

CUTS = (date(2026, 1, 1), date(2026, 3, 1))
REQUIRED = {"system", "split", "slice", "metric", "value", "ci_low", "ci_high", "seconds", "peak_mb"}


def scores(systems=("ours", "repeat"), lead=0.1) -> pl.DataFrame:
    """Ten shoppers at two cuts and two horizons; ``ours`` is ahead of every other by ``lead``."""
    return pl.DataFrame(
        [
            {
                "cut": cut,
                "horizon": horizon,
                "slice": part,
                "target": part,
                "system": system,
                "user_id": f"u{user}",
                **dict.fromkeys(METRICS, user / 20 + (lead if system == "ours" else 0)),
            }
            for horizon in (7, 28)
            for part in ("all", "new")
            for cut in CUTS
            for system in systems
            for user in range(10)
        ]
    )


COSTS = {("ours", CUTS[0]): Spent(10.0, 500.0), ("ours", CUTS[1]): Spent(20.0, 400.0)}


def rows_of(frame: pl.DataFrame):
    return list(score_rows(frame, COSTS, seed=1, resamples=100))


def test_every_row_has_the_contract_and_none_stands_twice():
    rows = rows_of(scores())
    assert all(row.keys() >= REQUIRED for row in rows)
    keys = [(row["system"], row["split"], row["slice"], row["metric"]) for row in rows]
    assert len(set(keys)) == len(keys)


def test_the_final_figure_of_ours_is_one_row_and_the_first():
    rows = rows_of(scores())
    final = [
        r
        for r in rows
        if (r["system"], r["split"], r["slice"], r["metric"]) == ("ours", "test", "all", "NDCG@10")
    ]
    assert len(final) == 1
    assert final[0]["value"] == pytest.approx(0.325)
    assert (final[0]["cut"], final[0]["horizon"], final[0]["users"]) == ("pooled", 28, 10)
    assert (final[0]["seconds"], final[0]["peak_mb"]) == (15.0, 500.0)
    assert rows[0]["system"] == "ours"
    assert rows[0]["split"] == "test"


def test_a_lead_is_a_row_of_its_own_name():
    rows = [row for row in rows_of(scores()) if row["against"] == "repeat" and row["split"] == "test"]
    assert {row["system"] for row in rows} == {"ours - repeat"}
    assert all(
        (row["value"], row["ci_low"], row["ci_high"]) == pytest.approx((0.1, 0.1, 0.1)) for row in rows
    )


def test_systems_that_were_asked_other_shoppers_are_never_compared():
    frame = scores()
    with pytest.raises(AssertionError):
        rows_of(frame.filter(~((pl.col("system") == "repeat") & (pl.col("user_id") == "u3"))))


@pytest.mark.parametrize(
    ("cut", "horizon", "name"),
    [
        (None, 28, "test"),
        (None, 7, "test/7d"),
        (CUTS[0], 28, "test/2026-01-01"),
        (CUTS[0], 7, "test/2026-01-01/7d"),
    ],
)
def test_a_split_tells_cut_and_horizon(cut, horizon, name):
    assert split_name(cut, horizon, 28) == name


def test_spread_is_told_by_cut_and_averaged():
    spreads = {
        ("ours", "all", cut): {"coverage@10": share, "Gini@10": 0.5}
        for cut, share in zip(CUTS, (0.2, 0.4), strict=True)
    }
    rows = list(spread_rows(spreads, dict.fromkeys(CUTS, 5), COSTS, 28))
    told = {(row["split"], row["metric"]): row["value"] for row in rows}
    assert told["test", "coverage@10"] == pytest.approx(0.3)
    assert told["test/2026-03-01", "coverage@10"] == 0.4


def test_the_file_is_a_json_list_with_a_row_a_line(tmp_path):
    rows = rows_of(scores())
    write_rows(tmp_path / "out.json", rows)
    text = (tmp_path / "out.json").read_text()
    assert json.loads(text) == rows
    assert len(text.splitlines()) == len(rows) + 2
