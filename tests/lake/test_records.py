import hashlib
from datetime import UTC, datetime

import polars as pl
import pytest

from recsys_tasks.lake.records import content_hash

FRAME = pl.DataFrame(
    {"a": ["x", None, ""], "at": [datetime(2026, 1, 1, tzinfo=UTC)] * 3, "v": [0.1, None, 2.0]}
)


def test_the_hash_is_that_of_the_rows_as_json_lines_so_any_machine_finds_it():
    micros = 1_767_225_600_000_000
    lines = (
        f'{{"a":"x","at":{micros},"v":0.1}}\n'
        f'{{"a":null,"at":{micros},"v":null}}\n'
        f'{{"a":"","at":{micros},"v":2.0}}\n'
    )
    assert content_hash(FRAME) == hashlib.sha256(lines.encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("why", "other"),
    [
        ("empty text is not missing", FRAME.with_columns(a=pl.col("a").fill_null(""))),
        ("a microsecond later", FRAME.with_columns(at=pl.col("at") + pl.duration(microseconds=1))),
        ("another number", FRAME.with_columns(v=pl.col("v") + 1e-12)),
        ("one row fewer", FRAME.head(2)),
        ("another order", FRAME.reverse()),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_the_hash_changes_with(why, other):
    assert content_hash(other) != content_hash(FRAME)
