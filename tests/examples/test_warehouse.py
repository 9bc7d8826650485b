import importlib.util
import sqlite3
from pathlib import Path

import polars as pl
import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "complete_journey" / "warehouse.py"


@pytest.fixture
def warehouse(tmp_path, monkeypatch):
    """The script, reading a package of two households."""
    spec = importlib.util.spec_from_file_location("warehouse", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    pl.DataFrame(
        {
            "household_id": [2, 1],
            "store_id": [1, 1],
            "basket_id": [20, 10],
            "product_id": [7, 8],
            "quantity": [1, 2],
            "sales_value": [1.5, 2.5],
            "transaction_timestamp": ["2017-01-02 10:00:00", "2017-01-01 11:53:26"],
        }
    ).with_columns(pl.col("transaction_timestamp").str.to_datetime()).write_parquet(
        tmp_path / "transactions.parquet"
    )
    names = ["manufacturer_id", "department", "brand", "product_category", "product_type", "package_size"]
    pl.DataFrame({"product_id": [7], **{name: [None] for name in names}}).write_parquet(
        tmp_path / "products.parquet"
    )
    monkeypatch.setattr(module, "package_file", lambda table: tmp_path / f"{table}.parquet")
    return module


def test_the_warehouse_has_times_as_text_in_order_and_an_index(warehouse, tmp_path):
    target = tmp_path / "new" / "source.db"
    assert warehouse.make_warehouse(target)
    connection = sqlite3.connect(target)
    times = connection.execute("SELECT transaction_timestamp FROM transactions").fetchall()
    plan = connection.execute(
        "EXPLAIN QUERY PLAN SELECT * FROM transactions WHERE transaction_timestamp > ''"
    ).fetchall()
    connection.close()
    assert times == [("2017-01-01 11:53:26",), ("2017-01-02 10:00:00",)]
    assert "transactions_by_time" in str(plan)


def test_a_warehouse_that_is_there_stays(warehouse, tmp_path):
    target = tmp_path / "source.db"
    target.write_text("mine")
    assert not warehouse.make_warehouse(target)
    assert target.read_text() == "mine"


def test_a_warehouse_that_failed_half_way_is_not_there(warehouse, tmp_path):
    (tmp_path / "transactions.parquet").unlink()
    with pytest.raises(FileNotFoundError):
        warehouse.make_warehouse(tmp_path / "source.db")
    assert not (tmp_path / "source.db").exists()
