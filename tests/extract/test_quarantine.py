from datetime import UTC, datetime

import polars as pl

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
