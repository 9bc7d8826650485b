from datetime import UTC, datetime

import polars as pl
import pytest

from recsys_tasks.extract import extracted as extraction
from recsys_tasks.extract.quarantine import write
from tests.extract.builders import extracted, row


def test_refused_rows_lie_by_source_and_night_until_the_rerun_is_clean(tmp_path):
    bad = extracted(tmp_path, row(who=None, at=datetime(2026, 3, 2, 17, tzinfo=UTC)))
    file = write(tmp_path / "quarantine", "events", "2026-03-02", bad.rejects)
    assert file == tmp_path / "quarantine" / "events" / "2026-03-02.parquet"
    assert pl.read_parquet(file)["reason"].to_list() == ["user_id|nullability"]
    good = extracted(tmp_path, row())
    assert write(tmp_path / "quarantine", "events", "2026-03-02", good.rejects) is None
    assert not file.exists()


def test_of_each_reason_only_the_first_rows_are_kept_and_all_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(extraction, "KEPT_PER_REASON", 2)
    many = [row(who=None, n=n) for n in range(5)]
    bad = extracted(tmp_path, *many, row(who="x" * 5_000))
    assert (bad.rejected, bad.bad) == ({"user_id|max_length": 1, "user_id|nullability": 5}, 6)
    assert bad.rejects["reason"].to_list() == [*["user_id|nullability"] * 2, "user_id|max_length"]
    assert len(bad.rejects["row"][-1]) < 1_200


def test_a_write_that_fails_leaves_the_earlier_file_and_nothing_else(tmp_path, monkeypatch):
    bad = extracted(tmp_path, row(who=None))
    file = write(tmp_path / "quarantine", "events", "monday", bad.rejects)
    before = file.read_bytes()

    def fails(_frame, scratch, **_options):
        scratch.write_bytes(b"half")
        raise OSError("the disk is gone")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", fails)
    with pytest.raises(OSError, match="the disk is gone"):
        write(tmp_path / "quarantine", "events", "monday", bad.rejects)
    assert [path.name for path in file.parent.iterdir()] == ["monday.parquet"]
    assert file.read_bytes() == before
