import json

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from benchmarks import lake
from benchmarks.lake_log import FIRST, LAST, ZONE, events_of, fill_postgres, write_parquet
from recsys_tasks.extract.events import extract_events


def test_the_table_holds_the_rows_of_the_file(tmp_path, fresh_postgres_url, monkeypatch):
    rows = 2_000
    file = write_parquet(tmp_path / "log.parquet", rows)
    fill_postgres(fresh_postgres_url, rows)
    monkeypatch.setenv("BENCH_LOG", fresh_postgres_url)
    sources = [
        events_of(kind="parquet", path=str(file)),
        events_of(kind="sql", url="BENCH_LOG", query=lake.QUERY),
    ]
    found = [extract_events(source, FIRST, LAST, ZONE) for source in sources]
    assert [extracted.rejected for extracted in found] == [{}, {}]
    from_file, from_table = (extracted.clean.sort("occurred_at", "user_id") for extracted in found)
    assert from_file.height == rows
    assert_frame_equal(pl.DataFrame(from_file), pl.DataFrame(from_table))


def test_figures_are_rows_of_system_metric_value_and_unit(tmp_path, monkeypatch, capsys):
    speeds = {"extract": 4.0, "read_only": 2.0, "scan_alone": 1.0}

    class Found:
        def __init__(self, seconds):
            self.result, self.seconds, self.peak_mb = 100, seconds, 10.0

    monkeypatch.setattr(lake, "measured", lambda function, _: Found(speeds[function.__name__]))
    out = tmp_path / "lake.json"
    assert lake.main(["--out", str(out), "--rows", "100", "--postgres-rows", "0"]) == 0
    rows = json.loads(out.read_text())
    assert all(set(row) == {"system", "metric", "value", "unit"} for row in rows)
    ratios = {row["system"]: row["value"] for row in rows if row["metric"] == "ratio_driver_alone"}
    assert ratios == {"parquet: ours read": 0.5, "parquet: ours": 0.25}
    assert "parquet: ours" in capsys.readouterr().out


@pytest.mark.parametrize("function", [lake.extract, lake.read_only])
def test_what_is_measured_reads_every_row(tmp_path, function):
    file = write_parquet(tmp_path / "log.parquet", 500)
    assert function(events_of(kind="parquet", path=str(file))) == 500
    assert pl.read_parquet(file).height == 500
