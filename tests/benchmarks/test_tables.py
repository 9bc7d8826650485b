from datetime import date
from io import StringIO

import polars as pl
from rich.console import Console

from benchmarks.metrics import METRICS
from benchmarks.results import Spent, score_rows, spread_rows
from benchmarks.tables import show

CUTS = (date(2026, 1, 1), date(2026, 3, 1))


def printed(cuts) -> str:
    scores = pl.DataFrame(
        [
            {
                "cut": cut,
                "horizon": 28,
                "slice": part,
                "target": "all",
                "system": system,
                "user_id": f"u{user}",
            }
            | dict.fromkeys(METRICS, user / 10 + (0.05 if system == "ours" else 0))
            for part in ("all", "all/older")
            for cut in cuts
            for system in ("ours", "repeat")
            for user in range(5)
        ]
    )
    costs = {(system, cut): Spent(3.0, 400.0) for system in ("ours", "repeat") for cut in cuts}
    spreads = {(system, "all", cut): {"coverage@10": 0.25, "Gini@10": 0.5} for system, cut in costs}
    rows = [*score_rows(scores, costs, 1, 50), *spread_rows(spreads, dict.fromkeys(cuts, 5), costs, 28)]
    console = Console(width=160, file=StringIO(), record=True)
    show(rows, console)
    return console.export_text()


def test_a_table_tells_figures_leads_and_slices():
    text = printed(CUTS)
    for told in ("NDCG@10 by slice", "ours ahead of", "+0.0500 ±0.0000*", "0.2500", "2026-03-01", "older"):
        assert told in text


def test_one_cut_is_not_told_twice():
    assert "2026-01-01" not in printed(CUTS[:1])
