from datetime import UTC, datetime

import polars as pl
import pytest

from recsys_tasks.errors import SchemaMismatch, SourceError
from recsys_tasks.extract.sources import read
from tests.extract.builders import event_source, item_source, row

START, END = datetime(2026, 3, 2, 5, tzinfo=UTC), datetime(2026, 3, 3, 5, tzinfo=UTC)
EDGES = [
    datetime(2026, 3, 2, 4, 59, 59),
    datetime(2026, 3, 2, 5),
    datetime(2026, 3, 3, 4, 59, 59),
    datetime(2026, 3, 3, 5),
]
FORMS = {
    "naive timestamps": pl.col("at"),
    "nanoseconds": pl.col("at").cast(pl.Datetime("ns")),
    "zoned timestamps": pl.col("at").dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Shanghai"),
    "text": pl.col("at").dt.strftime("%Y-%m-%d %H:%M:%S"),
    "zoned text": pl.col("at").dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_parquet_log_gives_the_rows_of_its_night_only(tmp_path, form):
    log = pl.DataFrame([row(at=at, what=str(n)) for n, at in enumerate(EDGES)])
    log.with_columns(at=FORMS[form]).write_parquet(tmp_path / "log.parquet")
    assert read(event_source(tmp_path / "log.parquet"), START, END)["what"].to_list() == ["1", "2"]


def test_a_csv_log_keeps_ids_and_times_as_text(tmp_path):
    (tmp_path / "log.csv").write_text("who,what,did,at,n\n007,00123,sale,2026-03-02 12:00:00,3\n")
    frame = read(event_source(tmp_path / "log.csv", kind="csv"), START, END)
    assert frame.rows() == [("007", "00123", "sale", "2026-03-02 12:00:00", 3)]


def test_rows_without_a_readable_time_are_not_lost_on_the_way(tmp_path):
    pl.DataFrame([row(at=None), row(at="soon"), row()]).write_parquet(tmp_path / "log.parquet")
    assert read(event_source(tmp_path / "log.parquet"), START, END).height == 3


def test_files_of_a_glob_are_read_in_the_order_of_their_names(tmp_path):
    for name in ("2026-02", "2026-01", "2026-03"):
        pl.DataFrame({"sku": [name], "name": ["x"]}).write_parquet(tmp_path / f"{name}.parquet")
    frame = read(item_source(tmp_path / "*.parquet"))
    assert frame["sku"].to_list() == ["2026-01", "2026-02", "2026-03"]


def test_no_file_is_an_error_that_names_the_glob(tmp_path):
    with pytest.raises(SourceError, match=r"no file matches .*\*\.parquet"):
        read(event_source(tmp_path / "*.parquet"), START, END)


def test_a_broken_file_is_an_error_that_names_it(tmp_path):
    (tmp_path / "log.parquet").write_bytes(b"no parquet at all")
    with pytest.raises(SourceError, match=r"log\.parquet"):
        read(event_source(tmp_path / "log.parquet"), START, END)


def test_a_missing_column_is_named_before_anything_is_read(tmp_path):
    (tmp_path / "log.csv").write_text("who,what,did,when\nann,tent,sale,2026-03-02\n")
    with pytest.raises(SchemaMismatch, match=r"log\.csv has no column 'at' \(found: who, what, did, when\)"):
        read(event_source(tmp_path / "log.csv", kind="csv"), START, END)


def test_the_broken_one_of_many_files_is_named(tmp_path):
    for name in ("a", "b", "c"):
        pl.DataFrame([row()]).write_parquet(tmp_path / f"{name}.parquet")
    whole = (tmp_path / "b.parquet").read_bytes()
    (tmp_path / "b.parquet").write_bytes(whole[:4] + bytes(len(whole) // 2) + whole[4 + len(whole) // 2 :])
    with pytest.raises(SourceError, match=r"b\.parquet cannot be read .*export or copy it again"):
        read(event_source(tmp_path / "*.parquet"), START, END)


def test_files_may_have_their_columns_in_another_order(tmp_path):
    (tmp_path / "1.csv").write_text("who,what,did,at\nann,tent,sale,2026-03-02 12:00:00\n")
    (tmp_path / "2.csv").write_text("at,did,what,who\n2026-03-02 12:00:00,sale,mat,bob\n")
    frame = read(event_source(tmp_path / "*.csv", kind="csv"), START, END)
    assert frame.select("who", "what").rows() == [("ann", "tent"), ("bob", "mat")]


def test_a_foreign_encoding_is_told_with_its_line(tmp_path):
    text = "who,what,did,at\nann,tent,sale,2026-03-02 12:00:00\njörg,tent,sale,2026-03-02 12:00:00\n"
    (tmp_path / "log.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(SourceError, match=r"log\.csv, line 3 is not UTF-8; save it as UTF-8 and run again"):
        read(event_source(tmp_path / "log.csv", kind="csv"), START, END)
