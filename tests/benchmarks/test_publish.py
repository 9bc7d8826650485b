"""The table of publish figures at a size where it says nothing, but says all of it."""

import json

import polars as pl
import pytest
from sqlalchemy import text

from benchmarks.publish.__main__ import main
from benchmarks.publish.measure import generation_megabytes
from benchmarks.publish.ours import publish_night, store_at
from benchmarks.publish.plain import COLUMNS, plain
from benchmarks.publish.shop import catalogue, shards
from recsys_tasks.store.view import RECOMMENDATIONS

TINY = "--users 40 --top-k 10 --core-rows 100 --rounds 1 --many-users 80 --most-users 120 --reads 20".split()
RATIOS = {("sqlite", "ratio_sqlite"), ("postgresql", "ratio_core_insert"), ("postgresql", "ratio_upsert")}


def test_the_same_lists_for_the_same_night_however_they_are_cut():
    whole = pl.concat(shards(30, 10, night=1))
    assert whole.equals(pl.concat(shards(30, 10, night=1)))
    assert not whole.equals(pl.concat(shards(30, 10, night=2)))
    assert len(whole) == 300


def test_lists_are_full_and_of_the_catalogue():
    lists = pl.concat(shards(30, 50, night=1, rows=500))
    assert lists["item_id"].is_in(catalogue().implode()).all()
    assert lists.group_by("user_id").agg(pl.col("item_id").n_unique())["item_id"].unique().to_list() == [50]
    assert lists["user_id"].n_unique() == 30


def test_most_items_stay_from_night_to_night():
    first, second = (pl.concat(shards(200, 50, night)) for night in (1, 2))
    kept = first.join(second, on=["user_id", "item_id"], how="semi")
    assert 0.75 < len(kept) / len(first) < 0.9


def test_what_is_inserted_row_by_row_is_what_the_view_gives():
    assert list(COLUMNS) == [column.name for column in RECOMMENDATIONS.columns]
    assert plain(pl.concat(shards(2, 10, night=1))).columns == list(COLUMNS)


@pytest.mark.parametrize("into", ["list_texts SELECT 1,", "coded_items SELECT"], ids=["texts", "items"])
def test_what_generations_share_counts_to_their_size(fresh_postgres_url, into):
    store = store_at(fresh_postgres_url)
    publish_night(store, users=40, top_k=10, night=0)
    before = generation_megabytes(store.engine)
    with store.engine.begin() as connection:
        many = "decode('0' || to_hex(n), 'hex'), repeat('x', 200) FROM generate_series(16777216, 16782215) n"
        connection.execute(text(f"INSERT INTO {into} {many}"))
    assert 1.0 < generation_megabytes(store.engine) - before < 2.0


@pytest.mark.slow
def test_one_command_writes_every_figure_and_leaves_nothing_behind(tmp_path, capsys):
    assert main(["--out", str(tmp_path / "out.json"), *TINY]) == 0
    rows = json.loads((tmp_path / "out.json").read_text())
    assert all(set(row) == {"system", "metric", "value", "unit"} for row in rows)
    told = {(row["system"], row["metric"]) for row in rows}
    assert len(told) == len(rows)
    assert told >= RATIOS
    assert {metric for _, metric in told} >= {
        "peak_mb",
        "rollback_seconds_120_users",
        "read_p50_ms_120_users",
    }
    assert all(row["value"] > 0 for row in rows)
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]
    assert "ratio_upsert" in capsys.readouterr().out
